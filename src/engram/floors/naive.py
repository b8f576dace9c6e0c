"""The floor that says: as it was last."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from engram.floors._forecasts import ForecastFloor, Repeater, sizes


class Naive(ForecastFloor):
    """Forecast the last value for all steps: of a random walk nothing is better."""

    def build(self, features: Any) -> nn.Module:
        """Return the module without spread."""
        return LastValue(**sizes(features))


class LastValue(Repeater):
    """Repeat the last value."""

    def expected(self, past_BLC: Tensor) -> Tensor:
        """(B, L, C) -> (B, H, C)."""
        return past_BLC[:, -1:].expand(-1, self.horizon, -1)
