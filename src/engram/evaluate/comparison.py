"""Comparison: is one model better than another on the same examples, or is the difference noise?

Both are scored on the same draws of the bootstrap, so that what is hard for both cancels out.

Shapes: N examples, S draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.core.units import format_number
from engram.evaluate import intervals
from engram.metrics.metric import Metric

MIN_MATCHED = 2


@dataclass(frozen=True)
class Comparison:
    """B against A by one metric, on the same examples.

    difference: score of B minus score of A, with its 95 % interval from `low` to `high`. verdict: "better",
    "worse" (B than A) or "no difference", where the interval holds zero. sentence: the same in words.
    """

    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    num_examples: int
    verdict: str
    sentence: str


def paired(
    metric: Metric,
    statistics_a: dict[str, np.ndarray],
    statistics_b: dict[str, np.ndarray],
    *,
    seed: int = 0,
    names: tuple[str, str] = ("A", "B"),
    together: int = 1,
) -> Comparison:
    """Compare two models by their statistics of the same examples in the same order.

    together: how many neighbours overlap; see `engram.evaluate.intervals.draws`.
    """
    number = len(next(iter(statistics_a.values())))
    assert number == len(next(iter(statistics_b.values()))), "both must be of the same examples"
    a, b = metric.compute(statistics_a), metric.compute(statistics_b)
    draw_a = intervals.drawer(metric, statistics_a, value=a)
    draw_b = intervals.drawer(metric, statistics_b, value=b)
    blocks = [
        draw_b(weights_SN) - draw_a(weights_SN) for weights_SN in intervals.draws(number, seed=seed, together=together)
    ]
    found = intervals.percentiles(np.concatenate(blocks), value=b - a)
    verdict = _verdict(found["low"], found["high"], higher_is_better=metric.higher_is_better)
    sentence = _sentence(metric.name, a, b, found, number, verdict, names)
    return Comparison(metric.name, a, b, b - a, found["low"], found["high"], number, verdict, sentence)


def _verdict(low: float, high: float, *, higher_is_better: bool) -> str:
    if not (low > 0 or high < 0):  # NaN too: where there is no score there is no difference shown
        return "no difference"
    return "better" if (low > 0) == higher_is_better else "worse"


def _sentence(
    metric: str, a: float, b: float, found: intervals.Score, number: int, verdict: str, names: tuple[str, str]
) -> str:
    off, low, high = (format_number(value, sign="+") for value in (b - a, found["low"], found["high"]))
    scored = f"{metric} {format_number(b)} against {format_number(a)} on the same {number:,} examples"
    spread = f"difference {off}, 95 % interval {low} to {high}"
    if verdict == "no difference":
        return f"No difference beyond noise is shown between {names[1]} and {names[0]}: {scored} ({spread})."
    return f"{names[1]} is {verdict} than {names[0]}: {scored} ({spread})."


def match(keys_a: Sequence[Any], keys_b: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in A and in B of the examples that both have, in A's order.

    Keys are content digests or paths; the n-th of several equal ones in A matches the n-th in B. DataError where
    both share fewer than two.
    """
    places: dict[Any, list[int]] = {}
    for position, key in enumerate(keys_b):
        places.setdefault(key, []).append(position)
    for positions in places.values():
        positions.reverse()
    pairs = [(position, places[key].pop()) for position, key in enumerate(keys_a) if places.get(key)]
    if len(pairs) < MIN_MATCHED:
        raise DataError(
            f"expected two runs that were scored on the same examples; of {len(keys_a)} and {len(keys_b)} they share "
            f"{len(pairs)}. Evaluate both on the same data."
        )
    matched = np.array(pairs, dtype=np.int64)
    return matched[:, 0], matched[:, 1]
