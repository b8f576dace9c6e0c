"""Weak groups: what the examples have in common that are answered worse than the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engram.evaluate.predictions import TRAIT
from engram.explain.slices import Slice, weak_slices
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Section, Text
from engram.report.sections.errors import confused
from engram.report.tiles import gallery, tile

MOST = 8
SHOWN = 6


def section(facts: Facts) -> Section | None:
    """The groups as bars, and mistakes of the weakest; a sentence where there are none."""
    answers = facts.answers
    if answers is None or not any(column.startswith(TRAIT) for column in answers.columns):
        return None
    weak, tried = weak_slices(answers)
    if not tried:
        return None
    found = Section("slices", "Where it is weak")
    if not weak:
        said = (
            f"{_groups(tried)} looked at among the {words.split_name(facts.split)} {facts.things}, by what they are "
            f"like ({words.listed(_traits(facts), most=8)}). None is answered worse than the rest beyond chance."
        )
        found.blocks.append(Text(said, "lead"))
        return found
    found.blocks += [Text(_said(facts, weak, tried), "lead"), _bars(facts, weak[:MOST]), *_mistakes(facts, weak[0])]
    return found


def _traits(facts: Facts) -> list[str]:
    assert facts.answers is not None
    return [column.removeprefix(TRAIT) for column in facts.answers.columns if column.startswith(TRAIT)]


def _said(facts: Facts, weak: list[Slice], tried: int) -> str:
    worst = weak[0]
    return (
        f"{facts.things.capitalize()} with {worst.said} are answered worse: {words.percent(worst.right)} of "
        f"{worst.number:,} are {_good(facts)}, of all others {words.percent(worst.rest)}. {_groups(tried)} looked "
        f"at, by {words.listed(_traits(facts), most=8)}; named are only those that so many looks do not explain by "
        f"chance. More examples of these kinds are what would help most."
    )


def _groups(number: int) -> str:
    return "One group was" if number == 1 else f"{number} groups were"


def _good(facts: Facts) -> str:
    return "right" if facts.task.answers.are_logits else "off by no more than half of all answers are"


def _bars(facts: Facts, weak: list[Slice]) -> Figure:
    bars = [
        chart.Bar(one.said, one.right, one.low, one.high, "warn", f"{one.number:,}; others {words.percent(one.rest)}")
        for one in weak
    ]
    return Figure(
        chart.bars(bars, high=1.0, say=words.percent),
        f"The share of answers in each weak group that are {_good(facts)}, with its 95 % interval; beside the name "
        f"stands the share among all other {facts.things}.",
    )


def _mistakes(facts: Facts, worst: Slice) -> Iterator[Any]:
    """Some of the mistakes in the weakest group."""
    if facts.kept is None or not facts.task.answers.are_logits:
        return
    rows = [row for row in worst.rows.tolist() if row in facts.known][:SHOWN]
    tiles = [tile(facts, entry, title=confused(entry), tone="wrong") for entry in (facts.known[row] for row in rows)]
    if tiles:
        yield gallery(facts, tiles, f"Mistakes among {{things}} with {worst.said}: what it is → what was said.")
