"""Intervals: how far a score would vary with another sample of examples, by the bootstrap.

Shapes: N examples, S draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from engram.metrics.metric import Metric

Score = dict[str, float]
"""{"value", "low", "high"}: a score and its 95 % interval."""

CONFIDENCE = 0.95
_MOST_VALUES = 4_000_000  # draws x examples: about a second for all metrics of 10 classes on one core
_MANY = 5_000  # examples from which on a score is as good as linear in them
_BLOCK_VALUES = 1_000_000  # drawn at a time, so that memory stays flat


def num_draws(num_examples: int) -> int:
    """How many draws to make: at most 1,000, at least 200 however many examples there are."""
    return int(np.clip(_MOST_VALUES // max(num_examples, 1), 200, 1000))


def draws(num_examples: int, *, seed: int = 0, number: int | None = None, together: int = 1) -> Iterator[np.ndarray]:
    """Yield blocks (S, N) of how often each example is drawn, with replacement; the same for the same seed.

    together: how many neighbours are drawn at once, where examples overlap (Kuensch 1989, the block bootstrap).
    """
    random = np.random.default_rng(seed)
    left = num_draws(num_examples) if number is None else number
    while left > 0:
        block = min(left, max(1, _BLOCK_VALUES // max(num_examples, 1)))
        drawn_SN = random.integers(0, num_examples, (block, -(-num_examples // together)))
        if together > 1:
            beside_SKT = (drawn_SN[..., None] + np.arange(together)) % num_examples
            drawn_SN = beside_SKT.reshape(block, -1)[:, :num_examples]
        drawn_SN += np.arange(block)[:, None] * num_examples
        counts = np.bincount(drawn_SN.ravel(), minlength=block * num_examples)
        yield counts.reshape(block, num_examples).astype(np.float32)
        left -= block


def drawer(metric: Metric, statistics: dict[str, Any], *, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the metric's scores (S,) of draws (S, N); with many examples, where it can, by influences.

    value: the score of all examples.
    """
    number = len(next(iter(statistics.values())))
    if number >= _MANY and (influence_N := metric.influence(statistics)) is not None:
        share_N = (influence_N / number).astype(np.float32)
        return lambda weights_SN: value + weights_SN @ share_N
    return lambda weights_SN: metric.weighted(statistics, weights_SN)


def percentiles(values: np.ndarray, *, value: float) -> Score:
    """Return a value with the 95 % percentile interval of its draws; draws without a score (NaN) are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"value": value, "low": value, "high": value}
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"value": value, "low": float(min(low, value)), "high": float(max(high, value))}


def of_share(share: float, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of so many examples (Wilson 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def scores(
    metrics: tuple[Metric, ...],
    statistics: Mapping[str, dict[str, Any]],
    *,
    seed: int = 0,
    number: int | None = None,
    together: int = 1,
) -> dict[str, Score]:
    """Return each metric's score with its interval, by name.

    statistics: metric's name -> its statistics. together: see `draws`. Metrics that have no score on these examples
    (AUROC where only one class occurs) are left out.
    """
    values = {metric.name: metric.compute(statistics[metric.name]) for metric in metrics}
    left = [metric for metric in metrics if not np.isnan(values[metric.name])]
    found = {metric.name: interval for metric in left if (interval := metric.interval(statistics[metric.name]))}
    drawn = [metric for metric in left if metric.name not in found]
    drawers = {m.name: drawer(m, statistics[m.name], value=values[m.name]) for m in drawn}
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in drawers}
    if drawn:
        num_examples = len(next(iter(statistics[drawn[0].name].values())))
        for weights_SN in draws(num_examples, seed=seed, number=number, together=together):
            for name, draw in drawers.items():
                blocks[name].append(draw(weights_SN))
    ends = {name: percentiles(np.concatenate(parts), value=values[name]) for name, parts in blocks.items()}
    ends |= {name: {"value": values[name], "low": low, "high": high} for name, (low, high) in found.items()}
    return {metric.name: ends[metric.name] for metric in left}
