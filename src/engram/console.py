"""What a person sees in the terminal: events while something runs, tables once it has.

On a terminal: colours (unless NO_COLOR is set) and one live line. Elsewhere: few plain lines without
control codes, so that logs stay readable.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from engram.core.events import Event, listening
from engram.core.machine import process_rank
from engram.core.units import format_bytes, format_count, format_duration

REFRESH_SECONDS = 0.2
"""The live line is drawn at most this often: drawing takes time from training on small machines."""


MOST_CLASSES = 20
"""Of more classes than these, the largest and the smallest are shown."""

FAINT, STRONG, MOST_SHOWN_WORDS = 0.15, 0.6, 8
"""Share of a text's strongest influence from which a word is coloured, and printed bold; words told with numbers."""

STYLES = {"error": "red", "warning": "yellow"}


class Terminal:
    """Listens to events and shows them. A context manager: leaving it removes the live line."""

    def __init__(self, stream: IO[str]) -> None:
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            TextColumn("{task.fields[info]}", markup=False),
        )
        self._progress = Progress(*columns, console=self.console, transient=True, auto_refresh=False)
        self._line: TaskID | None = None
        self._named = ""
        self._drawn = 0.0
        self._score = ""

    def __enter__(self) -> Terminal:
        if self.live:
            self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; kinds that nobody needs to see have no method here."""
        if show := getattr(self, f"_show_{event['event']}", None):
            show(event)

    def print(self, text: str, style: str | None = None) -> None:
        """Print one line above the live line, unbroken where this is no terminal."""
        self.console.print(text, style=style, soft_wrap=not self.live)

    def _show_stage(self, event: Event) -> None:
        self._draw(event["name"], done=0, total=None, info="", now=True)

    def _show_stage_done(self, event: Event) -> None:
        if event["seconds"] >= 1:
            self.print(f"{event['name']}: {format_duration(event['seconds'])}", style="dim")
        self._clear()

    def _show_note(self, event: Event) -> None:
        self.print(f"- {event['message']}")

    def _show_warning(self, event: Event) -> None:
        self.print(f"Warning: {event['message']}", style="yellow")

    def _show_decision(self, event: Event) -> None:
        self._show_warning(event)

    def _show_serving(self, event: Event) -> None:
        for model in event["models"]:
            since = f", promoted {model['promoted']}" if model["promoted"] else ""
            self.print(f"  {model['name']}: {model['version']}{since}")
        self.print(f"Serving at {event['url']}  (page: /, API: /docs, numbers: /metrics; Ctrl-C ends)")

    def _show_plan(self, event: Event) -> None:
        show_plan(event["plan"], self.console)

    def _show_progress(self, event: Event) -> None:
        done, total = event["done"], event["total"]
        self._draw(event["name"], done=done, total=total, info=f"{done:,} of {total:,}", now=done >= total)

    def _show_step(self, event: Event) -> None:
        info = [
            f"loss {event['loss']:.3f}",
            self._score,
            f"{format_duration(event['seconds_left'])} left" if event.get("seconds_left") is not None else "",
            f"{event['examples_per_second']:,.0f} examples/s",
        ]
        self._draw("training", done=event["step"], total=event["steps"], info="  ".join(filter(None, info)))

    def _show_evaluated(self, event: Event) -> None:
        self._score = "  ".join(f"{name} {value:.4f}" for name, value in list(event["metrics"].items())[:1])
        if not self.live:
            self.print(f"step {event['step']}: {self._score}")

    def _show_done(self, event: Event) -> None:
        self._clear()
        show_scores(event, self.console)
        for line in closing_lines(event):
            self.print(line)

    def _draw(self, name: str, *, done: int, total: int | None, info: str, now: bool = False) -> None:
        """Set the live line; draw it if that is due."""
        if not self.live:
            return
        if name != self._named or self._line is None:
            self._clear()
            self._line, self._named = self._progress.add_task(name, total=total, info=info), name
        self._progress.update(self._line, completed=done, total=total, info=info)
        if now or time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._drawn = time.monotonic()
            self._progress.refresh()

    def _clear(self) -> None:
        if self._line is not None:
            self._progress.remove_task(self._line)
            self._progress.refresh()
            self._line = None


@contextmanager
def showing(as_json: bool, *, events: bool = True) -> Iterator[None]:
    """Within the block, events are shown: as JSON lines on stdout, and to the person reading.

    A program that reads stdout gets nothing else there: what a person reads then goes to stderr. Of processes that
    train together the first speaks for all.
    """
    if process_rank() > 0:
        yield
        return
    with Terminal(sys.stderr if as_json else sys.stdout) as terminal:
        listeners = [print_json, terminal] if as_json and events else [terminal]
        with listening(*listeners):
            yield


def print_json(value: Any) -> None:
    """Print one JSON value as one line, at once. JSON knows no infinity and no NaN: such numbers become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def closing_lines(event: Event) -> list[str]:
    """Where the trained model is and what can be done with it next."""
    run = event["run"]
    took = format_duration(event["seconds"])
    if event.get("predicted_seconds"):
        took += f" (predicted {format_duration(event['predicted_seconds'])})"
    lines = [event["gain"]["sentence"]] if event.get("gain") else []
    lines += [f"Trained in {took}.", f"  run       {run}"]
    if event.get("report"):
        lines.append(f"  report    {event['report']}")
    if event.get("delivered"):
        lines.insert(0, event["delivered"])
    if not event.get("reads_data", True):
        return [*lines, f"  network   engram.load({run!r}, model=...).network"]
    return [*lines, f"  predict   engram predict {run} ITEMS", f"  evaluate  engram evaluate {run}"]


def show_plan(plan: Mapping[str, Mapping[str, Any]], console: Console | None = None) -> None:
    """The plan as a table: each number by the name it can be set by, its value and the reason for it."""
    rows = [(name, _setting(number["value"], name), number["reason"]) for name, number in plan.items()]
    show_table(("plan", "", "because"), rows, console)


def _setting(value: Any, name: str) -> str:
    """A number of the plan as it could be typed, unless its name says a unit."""
    return f"{value:g}" if isinstance(value, float) and _unit(name) is None else text(value, name)


def show_scores(scores: Mapping[str, Any], console: Console | None = None) -> None:
    """Metrics with their intervals, and beside them what each floor reaches."""
    floors: Mapping[str, Any] = scores.get("floors") or {}
    rows = []
    for name, score in scores["metrics"].items():
        beside = [
            text(_value(floor.get(name)), name) if isinstance(floor, Mapping) else "" for floor in floors.values()
        ]
        rows.append((name, text(_value(score), name), _interval(score), *beside))
    show_table(("metric", "", "95 % interval", *floors), rows, console)
    if "num_examples" in scores:
        (console or _console()).print(f"On {scores['num_examples']:,} examples.")


def show_inspection(inspection: Mapping[str, Any], *, fixes: str | None = None) -> None:
    """What the data is, what is wrong with it, and what would be trained. fixes: the file they were written to."""
    console = _console()
    show_summary(inspection["summary"])
    for finding in inspection["findings"]:
        if finding["kind"] == "class_counts":
            continue  # the table above says it by split
        console.print(_finding(finding), style=STYLES.get(finding["severity"]), soft_wrap=True)
    show_plan(inspection["plan"], console)
    if fixes:
        actions = Counter(line["action"] for line in inspection["fixes"])
        console.print(
            f"{fixes} proposes to drop {actions['drop']:,} rows, to relabel {actions['relabel']:,} and to look at "
            f"{actions['keep']:,}. Edit it, then: engram train DATA --apply {fixes}",
            soft_wrap=True,
        )


def show_promotion(promoted: Mapping[str, Any]) -> None:
    """What a name serves from now on, what it served before, and by which scores."""
    console = _console()
    now = promoted["run"] or "the run that its server is started with"
    console.print(f"{promoted['name']} serves {now}.", soft_wrap=True)
    if promoted["before"]:
        console.print(f"  before   {promoted['before']}", soft_wrap=True)
    for metric, value in promoted.get("scores", {}).items():
        bound = promoted["least"].get(metric)
        console.print(
            f"  {metric}  {text(value, metric)}" + (f" (bound: {text(bound, metric)})" if bound is not None else "")
        )
    if promoted["before"] and "scores" in promoted:
        console.print(f"Back with: engram promote --undo {promoted['name']}")


def show_summary(summary: Mapping[str, Any]) -> None:
    """Rows per split, and how many of each class; of many classes the largest and smallest."""
    splits = list(summary["rows"])
    classes: Mapping[str, Mapping[str, int]] = summary["classes"]
    names = sorted(classes.get("train", {}), key=lambda name: -classes["train"][name])
    shown = names if len(names) <= MOST_CLASSES else [*names[: MOST_CLASSES // 2], *names[-MOST_CLASSES // 2 :]]
    rows = [(name, *(text(classes[split].get(name)) for split in splits)) for name in shown]
    rows.append(("all rows", *(text(number) for number in summary["rows"].values())))
    show_table(("class" if names else "", *splits), rows)
    for role, values in summary.get("values", {}).items():
        show_values(role, values)


def show_values(role: str, values: Mapping[str, Any]) -> None:
    """What the values of a role are: numbers in one line, distributions as a table, a few examples."""
    console = _console()
    plain = [f"{name} {text(value, name)}" for name, value in values.items() if not isinstance(value, Mapping | list)]
    console.print(f"{role}: {', '.join(plain)}", soft_wrap=True)
    spread = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    if spread:
        header = (role, *next(iter(spread.values())))
        show_table(header, [(name, *(f"{number:,.0f}" for number in value.values())) for name, value in spread.items()])
    for example in values.get("examples", ()):
        console.print(f"    {example!r}", soft_wrap=True)


def show_answers(answers: Sequence[Mapping[str, Any]], *, ranked: bool) -> None:
    """One line per answer, which stands alone where it is a text.

    `ranked` shows what else it may be, with probabilities, instead of the best alone.
    """
    if any("translation" in answer for answer in answers):
        for answer in answers:  # as a filter does; an input that has no answer keeps its line
            print(" ".join(answer.get("translation", "").splitlines()))
        return
    hidden = {"explains", "words", *(("label", "labels", "probability") if ranked else ("probabilities",))}
    rows = [{name: value for name, value in answer.items() if name not in hidden} for answer in answers]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    show_table(columns, [[text(row.get(column), column) for column in columns] for row in rows])


def show_words(answers: Sequence[Mapping[str, Any]]) -> None:
    """Explained texts with their words coloured: green speaks for the answer, red against; then the strongest."""
    console = _console()
    for answer in answers:
        if not (words := answer.get("words")):
            continue
        most = max(abs(word["influence"]) for word in words) or 1.0
        coloured = Text(answer["input"])
        for word in words:
            share = word["influence"] / most
            if abs(share) >= FAINT:
                style = ("bold " if abs(share) > STRONG else "") + ("green" if share > 0 else "red")
                coloured.stylize(style, word["start"], word["end"])
        console.print()
        console.print(coloured, soft_wrap=True)
        ranked = sorted(words, key=lambda word: -abs(word["influence"]))[:MOST_SHOWN_WORDS]
        said = ", ".join(f"{word['word']} {word['influence']:+.2f}" for word in ranked)
        console.print(f"What {answer['explains']} hangs on (log-odds): {said}", style="dim", soft_wrap=True)


def print_csv(answers: Sequence[Mapping[str, Any]]) -> None:
    """Answers as CSV on stdout, numbers in full."""
    rows = [flat(answer) for answer in answers]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """How run B differs from run A on the rows that both answered, and whether that is more than noise."""
    found = comparison["comparisons"]
    rows = [
        (one["metric"], *(text(one[name]) for name in ("a", "b", "difference")), _interval(one), one["verdict"])
        for one in found
    ]
    show_table(("metric", "A", "B", "B - A", "95 % interval", "B is"), rows)
    for one in found[:1]:
        _console().print(one["sentence"], soft_wrap=True)


def show_table(columns: Iterable[str], rows: Iterable[Iterable[str]], console: Console | None = None) -> None:
    """A table without ruling. Where this is no terminal, columns are aligned by spaces and never cut."""
    console, header, lines = console or _console(), list(columns), [list(row) for row in rows]
    if not lines:
        return
    if console.is_terminal:
        console.print()
        table = Table(*header, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for line in lines:
            table.add_row(*line)
        console.print(table)
        return
    widths = [max(len(line[at]) for line in [header, *lines]) for at in range(len(header))]
    for line in [header, *lines]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.print("  ".join(cells).rstrip(), soft_wrap=True)


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as one row: lists of answers as `label 0.93, other 0.05`, dictionaries by joined names."""
    row: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif isinstance(value, list | tuple):
            row[name] = ", ".join(
                " ".join(text(v) for v in item.values()) if isinstance(item, Mapping) else text(item) for item in value
            )
        else:
            row[name] = value
    return row


_UNITS: dict[str, Callable[[Any], str]] = {
    "seconds": format_duration,
    "bytes": format_bytes,
    "memory": format_bytes,
    "disk": format_bytes,
    "parameters": format_count,
}


def _unit(name: str) -> Callable[[Any], str] | None:
    return _UNITS.get(name.rpartition("_")[2])


def text(value: Any, name: str = "") -> str:
    """A value as a person reads it; the last word of its name says the unit."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and (unit := _unit(name)):
        return unit(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text(inner) for inner in value)
    return str(value)


def _value(score: Any) -> Any:
    return score["value"] if isinstance(score, Mapping) else score


def _interval(score: Any) -> str:
    if not isinstance(score, Mapping) or score.get("low") is None:
        return ""
    return f"{text(score['low'])} to {text(score['high'])}"


def _finding(finding: Mapping[str, Any]) -> str:
    """A finding as lines: what, the first places, what to do."""
    where = [str(place) for place in finding.get("where", ())]
    lines = [f"{finding['severity'].capitalize()}: {finding['message']}", *(f"    {place}" for place in where[:5])]
    if len(where) > 5:
        lines.append(f"    and {len(where) - 5:,} more (--json lists them)")
    return "\n".join([*lines, *([f"    {finding['fix']}"] if finding.get("fix") else [])])


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)
