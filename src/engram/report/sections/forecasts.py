"""Forecasts: some of them beside what came, with their intervals, and how errors grow with each step ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.evaluate import forecasts
from engram.evaluate.forecasts import Kept
from engram.report import chart, words
from engram.report.chart import Series
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Row, Section, Text

SHOWN_WINDOWS, SHOWN_COLUMNS = 4, 2
TONES = {"delivered": "accent"}


def section(facts: Facts) -> Section | None:
    """Pictures of forecasts, coverage, error by step; nothing for other tasks."""
    kept = forecasts.read(facts.run)
    if kept is None or facts.predictor is None:
        return None
    found = Section("forecasts", "What it forecasts")
    found.blocks += [Text(_coverage(facts), "lead"), *_examples(facts, kept), *_by_step(kept)]
    return found


def _coverage(facts: Facts) -> str:
    metrics = facts.result.get("metrics") or {}
    found = metrics.get("coverage")
    if found is None:
        return "Its forecasts have no intervals."
    said = (
        "Beside each forecast stands an interval that is to hold what comes in 80 % of cases. On windows that it never "
        f"learned from it held {words.percent(found['value'])}"
    )
    seen = found["value"]
    if seen < 0.75:
        return f"{said}: it is too sure of itself, and intervals should be read as narrower than they ought to be."
    return f"{said}: it is more careful than it had to be." if seen > 0.85 else f"{said}."


def _examples(facts: Facts, kept: Kept) -> Iterator[Any]:
    assert facts.predictor is not None
    feature = facts.predictor.by_role.series
    figures = []
    for window in np.unique(np.linspace(0, len(kept.step) - 1, SHOWN_WINDOWS).astype(int)):
        for column in range(min(SHOWN_COLUMNS, kept.truth.shape[2])):
            name = feature.targets[column]
            when = feature.clock.written(int(kept.step[window]))[0]
            figures.append(_one(kept, int(window), column, name, f"{name}, forecast from {when}", feature.clock.name))
    yield Heading("Forecasts beside what came")
    for start in range(0, len(figures), 2):
        yield Row(figures[start : start + 2])


def _one(kept: Kept, window: int, column: int, name: str, caption: str, step: str) -> Figure:
    answer_HA = kept.answer[window, :, column]
    drawn = drawing(
        kept.past[window, :, column], answer_HA[:, 0], answer_HA[:, 1], answer_HA[:, -1], name=name, step=step,
        truth=kept.truth[window, :, column],
    )  # fmt: skip
    return Figure(drawn, f"{caption}: the line, with the interval that is to hold 80 %, beside what came (grey).")


def drawing(
    past: Sequence[float] | np.ndarray,
    value: Sequence[float] | np.ndarray,
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    *,
    name: str,
    step: str,
    truth: Sequence[float] | np.ndarray = (),
) -> Markup:
    """Draw a past, what is forecast with its interval, and what came where that is known; 0 is the last known step."""
    before = [*range(1 - len(past), 1)]
    ahead = [*range(1, len(value) + 1)]
    known = [*map(float, past), *map(float, truth)]
    lines = [
        Series("known", [*before, *ahead][: len(known)], known, tone="floor"),
        Series("forecast", ahead, [*map(float, value)], low=[*map(float, low)], high=[*map(float, high)]),
    ]
    return chart.lines(lines, x_name=f"steps ahead ({step})", y_name=name, say_y=chart.short)


def _by_step(kept: Kept) -> Iterator[Any]:
    if len(next(iter(kept.errors.values()))) < 2:
        return
    lines = [
        Series(words.named(name), [*range(1, len(error) + 1)], error.tolist(), tone=TONES.get(name, "floor"))
        for name, error in kept.errors.items()
    ]
    yield Heading("How errors grow with the distance")
    yield Figure(
        chart.lines(lines, x_name="steps ahead", y_name="mean squared error, in units of training", y_from=0.0),
        "The error of what is delivered (in colour) at each step ahead, and of the floors (grey).",
    )
