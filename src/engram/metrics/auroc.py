"""AUROC: the probability that a positive example is ranked above a negative one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._ranking import each_ranking, mean_over_rankings, rankings
from engram.metrics._totals import ratio
from engram.metrics.metric import Metric


class Auroc(Metric):
    """Area under the receiver operating characteristic; 0.5 is chance.

    Two classes: ranked by the probability of the second. More: each class against the rest, averaged over
    the classes of which there are both positives and negatives. Examples whose label training did not know
    (-1) are left out.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "score" (B, K) and "label" from logits (B, C) and `batch.label` (B,) or (B, C)."""
        return rankings(output, batch.label)

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the mean over classes of the share of rightly ordered pairs; ties count one half."""
        return mean_over_rankings(statistics, weights_SN, _area)

    def influence(self, statistics: dict[str, np.ndarray]) -> np.ndarray:
        """Return the structural components of DeLong et al. 1988, averaged over classes."""
        total_N, count = np.zeros(len(statistics["label"])), 0
        for score_N, positive_N, known_N in each_ranking(statistics):
            total_N[known_N] += _components(score_N, positive_N)
            count += 1
        return total_N / max(count, 1)


def _area(positive_GS: np.ndarray, negative_GS: np.ndarray) -> np.ndarray:
    # Weights are small whole numbers, so that float32 sums are exact up to 16 million examples.
    above_GS = np.cumsum(positive_GS, axis=0) - positive_GS / 2
    pairs_S = np.einsum("gs,gs->s", above_GS, negative_GS, dtype=np.float64)
    return ratio(pairs_S, positive_GS.sum(0, dtype=np.float64) * negative_GS.sum(0, dtype=np.float64))


def _components(score_N: np.ndarray, positive_N: np.ndarray) -> np.ndarray:
    """Return for each example its share of rightly ordered pairs, less the mean, as the whole score feels it."""
    share_N = np.empty(len(score_N))
    for own in (True, False):
        others = np.sort(score_N[positive_N != own])
        mine = score_N[positive_N == own]
        below = (np.searchsorted(others, mine, "left") + np.searchsorted(others, mine, "right")) / 2 / len(others)
        right = below if own else 1 - below
        share_N[positive_N == own] = (right - right.mean()) * len(score_N) / len(mine)
    return share_N
