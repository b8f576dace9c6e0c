"""Mean absolute error of predicted ratings, in steps of their scale."""

from __future__ import annotations

import numpy as np

from engram.metrics._ratings import RatingMetric, mean_of


class MaeOfRatings(RatingMetric):
    """Mean distance of prediction and rating, over ratings."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "mae"

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of the distances."""
        return mean_of("distances", statistics, weights_SN)
