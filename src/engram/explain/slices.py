"""Weak slices: groups of examples that are answered worse than the others, found by what the examples are like.

Every trait that was kept is cut into groups (numbers at their quintiles, words by themselves). Many groups are looked
at, so that some look weak by chance: only those are named that stay unlikely when that is reckoned with (Holm 1979).

Shapes: N examples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engram.evaluate.intervals import of_share
from engram.evaluate.predictions import TRAIT, of_numbers

if TYPE_CHECKING:
    import polars

LEAST = 15
"""Examples of a group below which nothing is said of it."""

BELIEVED = 0.05
"""Chance, over all groups together, with which one may be named that is no weaker than the rest."""

GROUPS = 5
MOST_KINDS = 30
"""Of a trait with more different words than these, nothing is made."""


@dataclass(frozen=True)
class Slice:
    """A group: trait and which of its values; the share of right answers in it with its 95 % interval, and outside.

    Of numbers, answers that are off by no more than half of all are, count as right.
    """

    trait: str
    value: str
    number: int
    right: float
    low: float
    high: float
    rest: float
    chance: float
    rows: np.ndarray

    @property
    def said(self) -> str:
        """The group in a few words."""
        return f"{self.trait} {self.value}"


def weak_slices(answers: polars.DataFrame) -> tuple[list[Slice], int]:
    """Return groups that are answered worse than the rest beyond chance, the weakest first, and how many were tried."""
    tried = [one for one in _slices(answers) if one is not None]
    tried.sort(key=lambda one: one.chance)
    named: list[Slice] = []
    for place, one in enumerate(tried):
        if one.chance * (len(tried) - place) > BELIEVED:
            break
        named.append(one)
    return sorted(named, key=lambda one: one.right), len(tried)


def _slices(answers: polars.DataFrame) -> Iterator[Slice | None]:
    answers = answers.filter(answers["label"].is_not_null())
    right_N, row_N = _right(answers), answers["row"].to_numpy()
    for column in answers.columns:
        if column.startswith(TRAIT):
            for value, inside_N in _groups(answers[column]):
                yield _slice(column.removeprefix(TRAIT), value, inside_N, right_N, row_N)


def _right(answers: polars.DataFrame) -> np.ndarray:
    """Which answers (bool (N,)) are right; of numbers, which are off by no more than half of all are."""
    if not of_numbers(answers):
        return answers["correct"].to_numpy()
    off_N = (answers["predicted"] - answers["label"]).abs().to_numpy()
    return np.asarray(off_N <= np.median(off_N))


def _groups(values: polars.Series) -> Iterator[tuple[str, np.ndarray]]:
    """Each group of a trait in words, and which examples are in it."""
    if not values.dtype.is_numeric():
        if values.n_unique() <= MOST_KINDS:
            for value in values.unique(maintain_order=True).drop_nulls().to_list():
                yield f"“{value}”", (values == value).fill_null(False).to_numpy()
        return
    number_N = values.cast(float).to_numpy()
    known_N = np.isfinite(number_N)
    if len(np.unique(number_N[known_N])) < 2:
        return
    edges = np.unique(np.quantile(number_N[known_N], np.linspace(0, 1, GROUPS + 1)))
    for place, (low, high) in enumerate(itertools.pairwise(edges)):
        last = place == len(edges) - 2
        inside_N = known_N & (number_N >= low) & ((number_N <= high) if last else (number_N < high))
        value = f"below {high:.3g}" if place == 0 else f"{low:.3g} or more" if last else f"{low:.3g} to {high:.3g}"
        yield value, inside_N


def _slice(trait: str, value: str, inside_N: np.ndarray, right_N: np.ndarray, row_N: np.ndarray) -> Slice | None:
    number, others = int(inside_N.sum()), int((~inside_N).sum())
    if min(number, others) < LEAST:
        return None
    inside, outside = float(right_N[inside_N].mean()), float(right_N[~inside_N].mean())
    low, high = of_share(inside, number)
    chance = _chance(inside, number, outside, others)
    return Slice(trait, value, number, inside, low, high, outside, chance, row_N[inside_N & ~right_N])


def _chance(inside: float, number: int, outside: float, others: int) -> float:
    """How often a group that is as good as the rest would look this much worse, by the normal approximation.

    Of shares with one answer more on either side, which keeps it cautious where groups are small.
    """
    inside, outside = (inside * number + 1) / (number + 2), (outside * others + 1) / (others + 2)
    both = (inside * number + outside * others) / (number + others)
    spread = math.sqrt(both * (1 - both) * (1 / number + 1 / others))
    return 0.5 * math.erfc((outside - inside) / max(spread, 1e-12) / math.sqrt(2))
