"""Mean average precision: how pure the top of each class's ranking is."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._ranking import mean_over_rankings, rankings
from engram.metrics._totals import ratio
from engram.metrics.metric import Metric


class MeanAveragePrecision(Metric):
    """Average precision of each class's ranking, averaged over the classes with positives and negatives.

    Average precision is the precision at each positive, averaged over the positives (no interpolation);
    chance is the share of positives. Two classes that exclude each other are ranked by the probability of the
    second. Examples whose label training did not know (-1) are left out.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "score" (B, K) and "label" from logits (B, C) and `batch.label` (B,) or (B, C)."""
        return rankings(output, batch.label)

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the mean over classes of the average precision; equal scores share one threshold."""
        return mean_over_rankings(statistics, weights_SN, _average_precision)


def _average_precision(positive_GS: np.ndarray, negative_GS: np.ndarray) -> np.ndarray:
    hits_GS = np.cumsum(positive_GS, axis=0)
    found_GS = np.cumsum(negative_GS, axis=0) + hits_GS
    precision_GS = np.divide(hits_GS, found_GS, out=np.zeros_like(hits_GS), where=found_GS > 0)
    return ratio(np.einsum("gs,gs->s", precision_GS, positive_GS, dtype=np.float64), positive_GS.sum(0))
