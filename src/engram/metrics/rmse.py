"""Root mean squared error: by how much answers are off, in the unit of the truth, large errors counting most."""

from __future__ import annotations

import numpy as np

from engram.metrics.mse import Mse


class Rmse(Mse):
    """Root of the mean of the squared difference between answer and truth."""

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the roots of the weighted means of the squares."""
        return np.sqrt(super().weighted(statistics, weights_SN))
