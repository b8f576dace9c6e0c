"""Accuracy: the share of examples whose answer is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engram.metrics._totals import decisions, mean
from engram.metrics.metric import Metric


class Accuracy(Metric):
    """Share of examples answered rightly: the most probable class, or all labels of an example at once.

    A label that training did not know (-1) can only be answered wrongly, and counts so.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "correct" (B,) from logits (B, C) and `batch.label` (B,) or (B, C)."""
        decided = decisions(output, batch.label)
        correct = decided["label"] == decided["predicted"]
        return {"correct": correct if correct.ndim == 1 else correct.all(axis=1)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "correct"."""
        return mean(statistics["correct"], weights_SN)

    def interval(self, statistics: dict[str, np.ndarray]) -> tuple[float, float]:
        """Return Wilson's interval: unlike the bootstrap's it has a width where every answer is right."""
        correct = statistics["correct"]
        return wilson(int(correct.sum()), len(correct))


def wilson(hits: int, number: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, `hits` out of `number` (at least 1)."""
    share, z_squared = hits / number, 1.959964**2
    centre = (share + z_squared / (2 * number)) / (1 + z_squared / number)
    spread = math.sqrt(share * (1 - share) * z_squared / number + z_squared**2 / (4 * number**2))
    half = spread / (1 + z_squared / number)
    return (max(0.0, centre - half) if hits else 0.0), (min(1.0, centre + half) if hits < number else 1.0)
