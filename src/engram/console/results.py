"""What a verb found, once it has: scores, answers, findings, comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from engram.console.values import amount, show_table, stdout, text, unit_of

MOST_CLASSES = 20
"""Of more classes than these, the largest and the smallest are shown."""

FAINT, STRONG, MOST_SHOWN_PARTS = 0.15, 0.6, 8
"""Share of a text's strongest influence from which a word is coloured, and printed bold; words told with numbers."""

EXPLAINING = frozenset({"explains", "method", "kind", "unit", "parts", "without", "answer_without"})
"""What an explanation adds to an answer, which is not a column of the table of answers."""

STEP = ("time", "value", "low", "high")
"""What is said of each step of a forecast."""

STYLES = {"error": "red", "warning": "yellow"}


def show_plan(plan: Mapping[str, Mapping[str, Any]], console: Console | None = None) -> None:
    """The plan as a table: each number by the name it can be set by, its value and the reason for it."""
    rows = [(name, _setting(number["value"], name), number["reason"]) for name, number in plan.items()]
    show_table(("plan", "", "because"), rows, console)


def _setting(value: Any, name: str) -> str:
    """A number of the plan as it could be typed, unless its name says a unit."""
    return f"{value:g}" if isinstance(value, float) and unit_of(name) is None else text(value, name)


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
        (console or stdout()).print(f"On {scores['num_examples']:,} examples.")


def _value(score: Any) -> Any:
    return score["value"] if isinstance(score, Mapping) else score


def _interval(score: Any) -> str:
    if not isinstance(score, Mapping) or score.get("low") is None:
        return ""
    return f"{text(score['low'])} to {text(score['high'])}"


def show_inspection(inspection: Mapping[str, Any], *, fixes: str | None = None) -> None:
    """What the data is, what is wrong with it, and what would be trained. fixes: the file they were written to."""
    console = stdout()
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


def _finding(finding: Mapping[str, Any]) -> str:
    """A finding as lines: what, the first places, what to do."""
    where = [str(place) for place in finding.get("where", ())]
    lines = [f"{finding['severity'].capitalize()}: {finding['message']}", *(f"    {place}" for place in where[:5])]
    if len(where) > 5:
        lines.append(f"    and {len(where) - 5:,} more (--json lists them)")
    return "\n".join([*lines, *([f"    {finding['fix']}"] if finding.get("fix") else [])])


def show_promotion(promoted: Mapping[str, Any]) -> None:
    """What a name serves from now on, what it served before, and by which scores."""
    console = stdout()
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
    console = stdout()
    plain = [f"{name} {text(value, name)}" for name, value in values.items() if not isinstance(value, Mapping | list)]
    console.print(f"{role}: {', '.join(plain)}", soft_wrap=True)
    spread = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    if spread:
        header = (role, *next(iter(spread.values())))
        show_table(header, [(name, *(f"{number:,.0f}" for number in value.values())) for name, value in spread.items()])
    for example in values.get("examples", ()):
        console.print(f"    {example!r}", soft_wrap=True)
    if table := values.get("table"):
        names = list(dict.fromkeys(name for row in table for name in row))
        show_table(names, [[text(row.get(name), name) for name in names] for row in table])


def show_recommendations(answer: Mapping[str, Any]) -> None:
    """Items, the best first, and beside each what speaks most for it."""
    if "like" in answer:
        stdout().print(f"Like {_item(answer['like'])}:", soft_wrap=True)
    elif "user" in answer:
        stdout().print(f"For {answer['user']}:", soft_wrap=True)
    rows = [
        (
            str(place),
            item["item"],
            item.get("title", ""),
            text(item["score"]),
            ", ".join(map(_item, item.get("because", ()))),
        )
        for place, item in enumerate(answer["items"], start=1)
    ]
    columns = ("", "item", "title", "score", "because of")
    shown = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    show_table([columns[at] for at in shown], [[row[at] for at in shown] for row in rows])
    if not rows:
        stdout().print("No item is left to recommend.")


def _item(item: Mapping[str, Any]) -> str:
    return str(item.get("title") or item["item"])


def show_answers(answers: Sequence[Mapping[str, Any]], *, ranked: bool) -> None:
    """One line per answer, which stands alone where it is a text.

    `ranked` shows what else it may be, with probabilities, instead of the best alone.
    """
    if any("translation" in answer for answer in answers):
        for answer in answers:  # as a filter does; an input that has no answer keeps its line
            print(" ".join(answer.get("translation", "").splitlines()))
        return
    if any("forecast" in answer for answer in answers):
        show_forecasts(answers)
        return
    hidden = {*EXPLAINING, *(("label", "labels", "probability") if ranked else ("probabilities",))}
    rows = [{name: value for name, value in answer.items() if name not in hidden} for answer in answers]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    show_table(columns, [[text(row.get(column), column) for column in columns] for row in rows])


def show_forecasts(answers: Sequence[Mapping[str, Any]]) -> None:
    """One line per step: value and interval, or of several columns their values."""
    for answer in answers:
        steps = answer.get("forecast", [])
        if called := answer.get("series") or answer.get("error"):
            stdout().print(called, soft_wrap=True)
        if not any("column" in step for step in steps):
            show_table(STEP, [[amount(step[name]) for name in STEP] for step in steps])
            continue
        columns = list(dict.fromkeys(step["column"] for step in steps))
        by_time: dict[str, dict[str, Any]] = {}
        for step in steps:
            by_time.setdefault(step["time"], {})[step["column"]] = step["value"]
        show_table(
            ("time", *columns), [[time, *(amount(row[name]) for name in columns)] for time, row in by_time.items()]
        )


def show_reasons(answers: Sequence[Mapping[str, Any]]) -> None:
    """What answers hang on: texts with their words coloured, green for the answer, red against; then the strongest."""
    console = stdout()
    for answer in answers:
        if not (parts := answer.get("parts")) or answer["kind"] == "pixels":  # a heat map says it of pictures
            continue
        console.print()
        if answer["kind"] == "words":
            console.print(_coloured(answer["input"], parts), soft_wrap=True)
        ranked = sorted(parts, key=lambda part: -abs(part["influence"]))[:MOST_SHOWN_PARTS]
        said = ", ".join(f"{part['part']} {part['influence']:+.2f}" for part in ranked)
        console.print(f"What {answer['explains']} hangs on ({answer['unit']}): {said}", style="dim", soft_wrap=True)
        if answer.get("without"):
            number, some = len(answer["without"]), ", ".join(answer["without"][:MOST_SHOWN_PARTS])
            more = f" and {number - MOST_SHOWN_PARTS} more" if number > MOST_SHOWN_PARTS else ""
            console.print(f"Without {some}{more} it would be {answer['answer_without']}.", style="dim", soft_wrap=True)


def _coloured(text: str, parts: Sequence[Mapping[str, Any]]) -> Text:
    most = max(abs(part["influence"]) for part in parts) or 1.0
    coloured = Text(text)
    for part in parts:
        share = part["influence"] / most
        if abs(share) >= FAINT:
            style = ("bold " if abs(share) > STRONG else "") + ("green" if share > 0 else "red")
            coloured.stylize(style, part["start"], part["end"])
    return coloured


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """How run B differs from run A on the rows that both answered, and whether that is more than noise."""
    found = comparison["comparisons"]
    rows = [
        (one["metric"], *(text(one[name]) for name in ("a", "b", "difference")), _interval(one), one["verdict"])
        for one in found
    ]
    show_table(("metric", "A", "B", "B - A", "95 % interval", "B is"), rows)
    for one in found[:1]:
        stdout().print(one["sentence"], soft_wrap=True)
