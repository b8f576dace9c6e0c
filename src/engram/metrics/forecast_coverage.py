"""Coverage: how much of what came lies within the interval that was meant to hold 80 % of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric


class ForecastCoverage(ForecastMetric):
    """Best at 0.8: less means that forecasts are too sure, more that they are too careful."""

    ranks = False

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "coverage"

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """1 within, 0 outside."""
        inside_BHC = (batch.future >= output_BHCA[..., 1]) & (batch.future <= output_BHCA[..., -1])
        return inside_BHC.float().masked_fill(batch.future.isnan(), float("nan"))
