"""Root mean squared error of predicted ratings, in steps of their scale."""

from __future__ import annotations

import numpy as np

from engram.metrics._ratings import RatingMetric, mean_of


class RmseOfRatings(RatingMetric):
    """Root of the mean of the squared difference, over ratings."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "rmse"

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the roots of the weighted means of the squares."""
        return np.sqrt(mean_of("squares", statistics, weights_SN))
