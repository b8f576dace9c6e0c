"""Can it be trusted with what is slightly spoilt, and does it notice what is unlike all that it learned from?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engram.explain.robustness import Spoilt, Strange, spoilt, strangers
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Section, Table, Text

MOST = 300
"""Examples that are answered anew in each way."""

LEAST_LEFT = 1.5
"""Seconds below which it is left out."""


def section(facts: Facts) -> Section | None:
    """Accuracy on altered examples, and unfamiliarity of strange things."""
    kept, predictor = facts.kept, facts.predictor
    if (
        predictor is None
        or kept is None
        or kept.label is None
        or not facts.task.answers.are_logits
        or facts.left < LEAST_LEFT
    ):
        return None
    places = facts.even[:MOST]
    items = [kept.values[place] for place in places]
    until = 0.4 * facts.left
    altered = spoilt(predictor, items, kept.label[places], keep_going=lambda: facts.left > until)
    found = Section("trust", "Slightly spoilt, and altogether strange")
    if len(altered) > 1:
        found.blocks += [Text(_said(facts, altered), "lead"), _bars(altered)]
    if strange := strangers(predictor, items):
        found.blocks += _strange(facts, strange, len(items))
    return found if found.blocks else None


def _said(facts: Facts, altered: Sequence[Spoilt]) -> str:
    worst = max(altered[1:], key=lambda one: one.lost[0])
    lost, low, high = worst.lost
    if low <= 0:
        return (
            f"{words.percent(altered[0].right)} of the {facts.things} are answered right as they are. Slightly spoilt "
            f"in the ways below, they are not shown to be answered worse."
        )
    return (
        f"As they are, {words.percent(altered[0].right)} of the {facts.things} are answered right. What harms most is "
        f"{worst.name}: {words.percent(lost)} of all answers are lost (95 % interval {words.percent_span(low, high)}). "
        f"If such {facts.things} are to be expected, some should be learned from."
    )


def _bars(altered: Sequence[Spoilt]) -> Figure:
    bars = [
        chart.Bar(one.name, one.right, one.low, one.high, "floor" if place == 0 else "accent")
        for place, one in enumerate(altered)
    ]
    return Figure(
        chart.bars(bars, high=1.0, say=words.percent),
        "The share of right answers to the same examples, as they are and slightly spoilt, with 95 % intervals. A "
        "person would hardly mind these changes.",
    )


def _strange(facts: Facts, strange: Sequence[Strange], number: int) -> Iterator[Any]:
    yield Heading("Does it notice what it does not know?")
    rows = [(one.name, f"{one.auroc:.3f}", words.percent(one.found)) for one in strange]
    yield Table(
        ("in place of " + facts.things, "AUROC", "called unfamiliar"),
        rows,
        f"{number} {facts.things} against as many things that are none. AUROC: how often unfamiliarity is higher for "
        f"the strange one of a pair; 1 is always, 0.5 is chance.",
        (1, 2),
    )
