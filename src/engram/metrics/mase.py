"""Mean absolute scaled error: errors in units of the mean step from season to season (Hyndman and Koehler 2006)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engram.metrics._forecasts import ForecastMetric, errors


class Mase(ForecastMetric):
    """1 is what repeating the last season reaches one step ahead, on the data that was learned from."""

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Errors by the series' own step from season to season."""
        return (errors(output_BHCA, batch) / batch.season_step[:, None]).abs()
