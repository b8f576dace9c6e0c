"""AUROC: the probability that a positive example is ranked above a negative one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._ranking import mean_over_rankings, rankings
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


def _area(positive_GS: np.ndarray, negative_GS: np.ndarray) -> np.ndarray:
    # Weights are small whole numbers, so that float32 sums are exact up to 16 million examples.
    above_GS = np.cumsum(positive_GS, axis=0) - positive_GS / 2
    pairs_S = np.einsum("gs,gs->s", above_GS, negative_GS, dtype=np.float64)
    return ratio(pairs_S, positive_GS.sum(0, dtype=np.float64) * negative_GS.sum(0, dtype=np.float64))
