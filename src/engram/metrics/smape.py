"""Symmetric mean absolute percentage error, from 0 to 200 (Makridakis 1993)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class Smape(ForecastMetric):
    """Errors by the mean size of forecast and truth; 0 where both are 0. Says little of numbers that cross zero."""

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Percent."""
        size_BHC = (output_BHCA[..., 0].abs() + batch.future.abs()) / 2
        return 100 * errors(output_BHCA, batch).abs() / size_BHC.clamp_min(1e-12)
