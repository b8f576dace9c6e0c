"""Weighted quantile loss: how good all quantiles of a forecast are, by the size of what is forecast."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engram.core.quantiles import QUANTILES
from engram.metrics._forecasts import ForecastMetric


class WeightedQuantileLoss(ForecastMetric):
    """Twice the pinball loss, mean over the quantiles, by the sum of what came, as GluonTS counts it."""

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Twice the pinball loss of each number, in units of the series' spread, mean over quantiles."""
        level_Q = torch.tensor(QUANTILES, device=output_BHCA.device)
        off_BHCQ = batch.future[..., None] - output_BHCA[..., 1:]
        loss_BHCQ = torch.maximum(level_Q * off_BHCQ, (level_Q - 1) * off_BHCQ)
        return 2 * loss_BHCQ.mean(-1) / batch.scale[:, None]

    def beside(self, batch: Any) -> Tensor:
        """The size of what came, in the same units."""
        return (batch.future / batch.scale[:, None]).abs()
