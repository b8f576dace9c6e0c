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
JUDGED = (50, 80, 90)
"""Levels, in hundredths, by which the two kinds of intervals are compared."""


@dataclass(frozen=True)
class Intervals:
    """widths: half of the interval at each of `LEVELS`. relative: whether in units of what the network thinks its error
    is, or all as wide. loss: how wide they are, and how far beyond them the truth lies, over the levels judged."""

    widths: np.ndarray
    relative: bool
    loss: float

    def apply(self, delivered: Any) -> None:
        """Write them into a `DeliveredNumber`."""
        delivered.widths.copy_(torch.from_numpy(self.widths))
        delivered.relative.fill_(float(self.relative))


def fit(value_N: np.ndarray, spread_N: np.ndarray | None, label_N: np.ndarray) -> Intervals:
    """Fit on validation rows: equally wide intervals, or in proportion to `spread_N` where these say more."""
    off_N = np.abs(np.asarray(value_N, np.float64) - label_N)
    found = [_intervals(off_N, np.ones_like(off_N), relative=False)]
    if spread_N is not None:
        found.append(_intervals(off_N, np.asarray(spread_N, np.float64), relative=True))
    return min(found, key=lambda each: each.loss)


def _intervals(off_N: np.ndarray, spread_N: np.ndarray, *, relative: bool) -> Intervals:
    scores = np.sort(off_N / np.maximum(spread_N, np.finfo(np.float32).tiny))
    widths = np.array([_quantile(scores, level) for level in LEVELS])
    losses = [_winkler(off_N, widths[place] * spread_N, LEVELS[place]) for place in JUDGED]
    return Intervals(widths.astype(np.float32), relative, float(np.mean(losses)))


def _winkler(off_N: np.ndarray, half_N: np.ndarray, level: float) -> float:
    """The proper score of intervals (Gneiting and Raftery 2007): their width, and a fine for what lies beyond."""
    return float((2 * half_N + 2 / (1 - level) * np.maximum(off_N - half_N, 0)).mean()) if len(off_N) else 0.0


def _quantile(scores: np.ndarray, level: float) -> float:
    """The score that a new one is not above with probability `level`; the largest where too few rows can tell."""
    place = math.ceil((len(scores) + 1) * level)
    return 0.0 if place == 0 or not len(scores) else float(scores[min(place, len(scores)) - 1])
