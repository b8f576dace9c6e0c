"""Events while something runs: one live line on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from engram.console.results import show_plan, show_scores
from engram.console.values import print_json
from engram.core.events import Event, listening
from engram.core.machine import process_rank
from engram.core.units import format_duration, format_number

REFRESH_SECONDS = 0.2
"""The live line is drawn at most this often: drawing takes time from training on small machines."""


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
        of, ended = ("", False) if total is None else (f" of {total:,}", done >= total)
        self._draw(event["name"], done=done, total=total, info=f"{done:,}{of}", now=ended)

    def _show_step(self, event: Event) -> None:
        info = [
            f"loss {event['loss']:.3f}",
            self._score,
            f"{format_duration(event['seconds_left'])} left" if event.get("seconds_left") is not None else "",
            f"{event['examples_per_second']:,.0f} examples/s",
        ]
        self._draw("training", done=event["step"], total=event["steps"], info="  ".join(filter(None, info)))

    def _show_evaluated(self, event: Event) -> None:
        self._score = "  ".join(f"{name} {format_number(value)}" for name, value in list(event["metrics"].items())[:1])
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
    asked = event["asked"]
    if not asked:
        return [*lines, f"  network   engram.load({run!r}, model=...).network"]
    asking = f"  {asked.partition(' ')[0]:9} engram {asked.replace('RUN', run)}"
    return [*lines, asking, f"  evaluate  engram evaluate {run}"]
