"""Mean absolute error of forecasts in the user's own units."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class MaeInUnits(ForecastMetric):
    """By how much forecasts are off; of several columns the mean, whatever their units."""

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Errors without their signs."""
        return errors(output_BHCA, batch).abs()
