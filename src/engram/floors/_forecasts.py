"""What floors of forecasts share: an expected value, with quantiles by the errors that it made in training.

Shapes: B windows, L steps of the lookback, H of the horizon, C columns, Q quantiles, F of all columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.core.quantiles import QUANTILES
from engram.floors.floor import Batches, Floor

MOST_ERRORS = 4_000_000
"""Numbers that quantiles are found from."""


class Repeater(nn.Module):
    """Forecast from the lookback alone, with the spread (H, C, Q) of errors around it. Subclasses say `expected`."""

    spread: Tensor

    def __init__(self, *, lookback: int, horizon: int, columns: int) -> None:
        super().__init__()
        self.lookback, self.horizon, self.columns = lookback, horizon, columns
        self.register_buffer("spread", torch.zeros(horizon, columns, len(QUANTILES)))
        self.record = {"arguments": {"lookback": lookback, "horizon": horizon, "columns": columns}}

    def expected(self, past_BLC: Tensor) -> Tensor:
        """Return the expected values (B, H, C)."""
        raise AssertionError("a floor of forecasts must say this")

    def forward(self, series_BTF: Tensor) -> Tensor:
        """Return (B, H, C, 1 + Q): the expected value, then the quantiles."""
        expected_BHC = self.expected(series_BTF[:, : self.lookback, : self.columns].float())
        return torch.cat([expected_BHC[..., None], expected_BHC[..., None] + self.spread], -1)


def sizes(features: Any) -> dict[str, int]:
    """What a floor is built from."""
    series = features.series
    return {"lookback": series.lookback, "horizon": series.horizon, "columns": len(series.targets)}


@torch.no_grad()
def with_spread(module: Repeater, batches: Batches) -> Repeater:
    """Fit the spread to the errors that the expected values make."""
    errors, held = [], 0
    for batch in batches():
        errors.append(batch.future - module.expected(batch.series[:, : module.lookback, : module.columns]))
        held += errors[-1].numel()
        if held > MOST_ERRORS:
            break
    error_NHC = torch.cat(errors)
    module.spread.copy_(torch.nanquantile(error_NHC, torch.tensor(QUANTILES), dim=0).movedim(0, -1).nan_to_num(0.0))
    return module


class ForecastFloor(Floor):
    """A floor whose expected values need no fitting. Subclasses say `build`."""

    deliverable = True

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit the spread."""
        module = self.build(features)
        assert isinstance(module, Repeater)
        return with_spread(module, batches)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Nothing is fitted but the spread, which stays, as quantiles were placed by it."""
        return fitted
