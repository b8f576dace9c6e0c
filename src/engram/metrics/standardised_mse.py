"""Mean squared error of forecasts, each column in units of its spread in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class StandardisedMse(ForecastMetric):
    """As the literature on long-term forecasting counts it: 1 is about what the mean of training would reach."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "mse"

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Squares of standardised errors."""
        return (errors(output_BHCA, batch) / batch.scale[:, None]).square()
