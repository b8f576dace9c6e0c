"""Quadratic kappa: agreement on a scale beyond chance, where being far off weighs most."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import decisions, ratio
from engram.metrics.metric import Metric


class QuadraticKappa(Metric):
    """Cohen's kappa with quadratic weights (Cohen 1968): 1 is agreement, 0 what chance would reach.

    It is 1 minus the mean squared distance of answers from labels, divided by the distance that answers and labels
    drawn independently of each other would have: twice their covariance, divided by that distance. Counted in whole
    numbers, so that one answer for all has exactly 0. Labels that training did not know (-1) are left out.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "label" and "predicted" (B,) from logits (B, C) and `batch.label` (B,)."""
        return decisions(output, batch.label)

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return twice the covariance by the squared distance at chance; NaN where chance alone would agree."""
        known = statistics["label"] >= 0
        label, predicted = (statistics[name][known].astype(np.float64) for name in ("label", "predicted"))
        weights_SN = weights_SN[:, known].astype(np.float64)
        n = weights_SN.sum(1)
        moments = np.stack([label, predicted, label**2, predicted**2, label * predicted], axis=1)
        a, b, aa, bb, ab = (weights_SN @ moments).T
        return ratio(2 * (n * ab - a * b), n * (aa + bb) - 2 * a * b)
