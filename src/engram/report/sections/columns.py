"""What answers hang on: how much each column of a table matters, and how answers go along the most important ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.explain import columns
from engram.explain.columns import Asked, Importance
from engram.report import chart, words
from engram.report.chart import Bar, Series
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Row, Section, Text

LEAST_LEFT, SHARE = 0.8, 0.4
"""Seconds below which columns are not looked at, and the share of the time left that this takes."""

MOST_BARS, MOST_COURSES = 20, 6
TONES = ("accent", "warn", "floor")
COLOURS = ("teal", "orange", "grey")


def section(facts: Facts) -> Section | None:
    """Importances and courses; nothing for what has no columns."""
    kept, predictor = facts.kept, facts.predictor
    if predictor is None or kept is None or kept.records is None or kept.label is None or facts.left < LEAST_LEFT:
        return None
    places = facts.even
    rows = columns.asked(predictor, [kept.records[place] for place in places], kept.label[places])
    if rows is None:
        return None
    seconds = SHARE * facts.left
    until = facts.left - seconds
    rows = columns.within(rows, seconds / 2)
    found = columns.importances(rows, keep_going=lambda: facts.left > until)
    ends = [one for one in found if one.interval[0] > 0]
    blocks: list[Any] = [Text(_lead(rows, ends), "lead"), _bars(facts, rows, found)]
    drawn = [one for one in ends if one.axis.course is not None][:MOST_COURSES]
    if drawn:
        blocks += [Heading("How answers go along them"), Text(_said(facts))]
        figures = [_course(facts, rows, one) for one in drawn]
        blocks += [Row(figures[at : at + 2]) for at in range(0, len(figures), 2)]
    return Section("columns", "What answers hang on", blocks)


def _lead(rows: Asked, ends: list[Importance]) -> str:
    metric = words.named(rows.metric.name)
    if not ends:
        return (
            f"No single column matters beyond chance: exchanged between {len(rows.encoded):,} rows, none makes "
            f"{metric} worse. They may say together what none says alone, or nothing."
        )
    first = ends[0]
    plain = rows.score(rows.encoded)
    return (
        f"Answers hang most on {words.listed([one.axis.name for one in ends], most=3)}. Where the values of "
        f"{first.axis.name} are exchanged between rows, {metric} goes from {words.amount(plain)} to "
        f"{words.amount(plain + _worse(rows) * first.mean)}."
    )


def _worse(rows: Asked) -> float:
    return -1.0 if rows.metric.higher_is_better else 1.0


def _bars(facts: Facts, rows: Asked, found: list[Importance]) -> Figure:
    shown = found[:MOST_BARS]
    bars = [
        Bar(one.axis.name, max(0.0, one.mean), low=max(0.0, one.interval[0]), high=max(0.0, one.interval[1]))
        for one in shown
    ]
    few = f" The {MOST_BARS} most important of {len(found)} columns." if len(found) > MOST_BARS else ""
    if (missed := len(rows.axes) - len(found)) > 0:
        few += f" There was no time for {missed} more columns; engram explain RUN takes it."
    return Figure(
        chart.bars(bars, say=words.amount),
        f"By how much {words.named(rows.metric.name)} gets worse on {len(rows.encoded):,} "
        f"{words.split_name(facts.split)} rows when a column is exchanged between them, the mean of {columns.REPEATS} "
        f"ways to do so with its 95 % interval.{few} Columns that say the same share their importance: each seems to "
        "matter less than both do.",
    )


def _said(facts: Facts) -> str:
    what = "probability" if facts.task.answers.are_logits else "answer"
    return (
        f"All rows are given one value of a column after another, and the mean {what} is shown. It is what the model "
        "does, not what would happen in the world."
    )


def _course(facts: Facts, rows: Asked, one: Importance) -> Figure:
    """A curve along numbers, bars for names."""
    course = one.axis.course
    assert course is not None
    answer_GA = columns.course(rows, one.axis)
    shown = _shown(facts, answer_GA)
    say = (lambda share: words.percent(share, 0)) if facts.task.answers.are_logits else words.amount
    name = one.axis.name if not course.unit else f"{one.axis.name} ({course.unit})"
    if not course.edges:
        at = shown[0]
        answer_G = answer_GA[:, at]
        bars = [Bar(str(value), float(answer)) for value, answer in zip(course.values, answer_G, strict=True)]
        drawn = chart.bars(bars, low=min(0.0, float(answer_G.min())), high=float(answer_G.max()), say=say)
        return Figure(drawn, f"{name}: the mean {_of(facts, at)} for each of its commonest names.")
    series = [
        Series(_of(facts, at), course.values, answer_GA[:, at].tolist(), tone=tone)
        for at, tone in zip(shown, TONES, strict=False)
    ]
    drawn = chart.lines(series, x_name=name, y_name="mean answer", say_y=say, under=(course.shares, course.edges))
    legend = words.listed([f"{colour}: {_of(facts, at)}" for at, colour in zip(shown, COLOURS, strict=False)])
    what = legend if len(shown) > 1 else f"the mean {_of(facts, shown[0])}"
    return Figure(drawn, f"{name}: {what}. Grey bars: how often its values occur in training rows.")


def _shown(facts: Facts, answer_GA: np.ndarray) -> list[int]:
    """Which answers are drawn: the number, the second of two classes, or those that vary most."""
    if answer_GA.shape[1] == 1 or (answer_GA.shape[1] == 2 and facts.task.answers.calibration == "softmax"):
        return [answer_GA.shape[1] - 1]
    return np.argsort(-np.ptp(answer_GA, axis=0), kind="stable")[: len(TONES)].tolist()


def _of(facts: Facts, at: int) -> str:
    return f"probability of {facts.names[at]}" if facts.task.answers.are_logits else "answer"
