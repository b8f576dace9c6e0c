"""The floor that says: as it was one season ago."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._forecasts import ForecastFloor, Repeater, sizes


class SeasonalNaive(ForecastFloor):
    """Forecast what was measured one season before (the last value where there is no season)."""

    def build(self, features: Any) -> nn.Module:
        """Return the module without spread."""
        return LastSeason(**sizes(features), season=features.series.season)


class LastSeason(Repeater):
    """Repeat the last season. One that is longer than the lookback cannot be seen: the last value is repeated."""

    place: Tensor

    def __init__(self, *, lookback: int, horizon: int, columns: int, season: int) -> None:
        super().__init__(lookback=lookback, horizon=horizon, columns=columns)
        season = season if season <= lookback else 1
        self.register_buffer("place", lookback - season + torch.arange(horizon) % season, persistent=False)
        self.record["arguments"]["season"] = season

    def expected(self, past_BLC: Tensor) -> Tensor:
        """(B, L, C) -> (B, H, C)."""
        return past_BLC[:, self.place]
