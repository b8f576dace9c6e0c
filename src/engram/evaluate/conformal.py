"""Conformal intervals: how far from the answer the truth is, as often as asked for, on rows that nobody learned from.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018, "Distribution-free predictive inference for
regression"): whatever the network, the truth of a new row of the same kind lies in the interval of level p with a
probability of at least p.

Shapes: N examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

LEVELS = np.arange(101) / 100
JUDGED = slice(50, 95)
"""Levels by whose mean width the two kinds of intervals are compared."""


@dataclass(frozen=True)
class Intervals:
    """widths: half of the interval at each of `LEVELS`. relative: whether in units of what the network thinks its error
    is, or all as wide. mean_width: of the whole intervals, over the levels judged."""

    widths: np.ndarray
    relative: bool
    mean_width: float

    def apply(self, delivered: Any) -> None:
        """Write them into a `DeliveredNumber`."""
        delivered.widths.copy_(torch.from_numpy(self.widths))
        delivered.relative.fill_(float(self.relative))


def fit(value_N: np.ndarray, spread_N: np.ndarray | None, label_N: np.ndarray) -> Intervals:
    """Fit on validation rows: equally wide intervals, or in proportion to `spread_N` where these are shorter."""
    off_N = np.abs(np.asarray(value_N, np.float64) - label_N)
    found = [_intervals(off_N, np.ones_like(off_N), relative=False)]
    if spread_N is not None:
        found.append(_intervals(off_N, np.asarray(spread_N, np.float64), relative=True))
    return min(found, key=lambda each: each.mean_width)


def _intervals(off_N: np.ndarray, spread_N: np.ndarray, *, relative: bool) -> Intervals:
    scores = np.sort(off_N / np.maximum(spread_N, np.finfo(np.float32).tiny))
    widths = np.array([_quantile(scores, level) for level in LEVELS])
    return Intervals(widths.astype(np.float32), relative, float(2 * widths[JUDGED].mean() * spread_N.mean()))


def _quantile(scores: np.ndarray, level: float) -> float:
    """The score that a new one is not above with probability `level`; the largest where too few rows can tell."""
    place = math.ceil((len(scores) + 1) * level)
    return 0.0 if place == 0 or not len(scores) else float(scores[min(place, len(scores)) - 1])
