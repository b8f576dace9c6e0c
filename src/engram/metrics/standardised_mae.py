"""Mean absolute error of forecasts, each column in units of its spread in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class StandardisedMae(ForecastMetric):
    """As the literature on long-term forecasting counts it."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "mae"

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Standardised errors without their signs."""
        return (errors(output_BHCA, batch) / batch.scale[:, None]).abs()
