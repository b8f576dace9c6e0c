"""Root mean squared error of forecasts in the user's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class RmseInUnits(ForecastMetric):
    """By how much forecasts are off, large errors counting more; of several columns over all, whatever their units."""

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Squares of errors."""
        return errors(output_BHCA, batch).square()

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the root of their mean."""
        root: np.ndarray = np.sqrt(super().weighted(statistics, weights_SN))
        return root
