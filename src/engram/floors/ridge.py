"""The floor that weighs: every step ahead is a linear function of the lookback, in closed form.

Shapes: B windows, L steps of the lookback, H of the horizon, C columns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._forecasts import Repeater, sizes, with_spread
from engram.floors.floor import Batches, Floor

FOLDS = 5
STRENGTHS = tuple(10.0**power for power in range(-4, 4))
"""Of the ridge, by the mean square of what is read."""


class Ridge(Floor):
    """Linear regression from a long lookback, shared by all columns, each window less its own mean.

    Its ridge is the one that errs least on parts of the time that it was not fitted on.
    """

    deliverable = True

    def build(self, features: Any) -> nn.Module:
        """Return the module with all weights zero: the mean of the lookback."""
        return LinearForecast(**sizes(features))

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit in one pass, reading for at most half of `seconds`, and choose the ridge."""
        return self._fit(batches, features, seconds=seconds)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit with the ridge that was chosen before; the spread stays, as quantiles were placed by it."""
        assert isinstance(fitted, LinearForecast)
        again = self._fit(batches, features, seconds=seconds, strength=float(fitted.strength))
        again.spread.copy_(fitted.spread)
        return again

    @torch.no_grad()
    def _fit(self, batches: Batches, features: Any, *, seconds: float, strength: float | None = None) -> Repeater:
        until = time.monotonic() + seconds / 2
        module = LinearForecast(**sizes(features))
        folds = [Moments.zero(module.lookback, module.horizon) for _ in range(FOLDS)]
        for batch in batches():
            past_BLC = batch.series[:, : module.lookback, : module.columns]
            mean_B1C = past_BLC.mean(1, keepdim=True)
            scale_B1C = batch.scale[:, None]
            read_BLC, wanted_BHC = (past_BLC - mean_B1C) / scale_B1C, (batch.future - mean_B1C) / scale_B1C
            fold_B = (batch.position * FOLDS).long()
            for fold in fold_B.unique().tolist():
                folds[fold].add(read_BLC[fold_B == fold], wanted_BHC[fold_B == fold])
            if time.monotonic() > until:
                break
        chosen = strength or _strength(folds)
        module.weight.copy_(Moments.total(folds).solved(chosen))
        module.strength.fill_(chosen)
        return with_spread(module, batches)


class LinearForecast(Repeater):
    """The mean of the lookback, and what weights (H, L) make of the deviations from it. strength: of the ridge."""

    strength: Tensor

    def __init__(self, *, lookback: int, horizon: int, columns: int) -> None:
        super().__init__(lookback=lookback, horizon=horizon, columns=columns)
        self.weight = nn.Parameter(torch.zeros(horizon, lookback))
        self.register_buffer("strength", torch.ones(()))

    def expected(self, past_BLC: Tensor) -> Tensor:
        """(B, L, C) -> (B, H, C)."""
        mean_B1C = past_BLC.mean(1, keepdim=True)
        return mean_B1C + torch.einsum("hl,blc->bhc", self.weight, past_BLC - mean_B1C)


@dataclass
class Moments:
    """Sums of products of what is read (L, L), and of it with what is wanted (L, H): all that least squares need.

    wanted: the sum of squares of that. count: windows of one column.
    """

    read: Tensor
    both: Tensor
    wanted: Tensor
    count: int

    @classmethod
    def zero(cls, lookback: int, horizon: int) -> Moments:
        """Of nothing."""
        read, both, wanted = (
            torch.zeros(shape, dtype=torch.float64) for shape in ((lookback, lookback), (lookback, horizon), ())
        )
        return cls(read, both, wanted, 0)

    @classmethod
    def total(cls, parts: list[Moments]) -> Moments:
        """Of several."""
        return cls(
            sum((part.read for part in parts), torch.zeros(())),
            sum((part.both for part in parts), torch.zeros(())),
            sum((part.wanted for part in parts), torch.zeros(())),
            sum(part.count for part in parts),
        )

    def add(self, read_BLC: Tensor, wanted_BHC: Tensor) -> None:
        """Take windows; those of which something was not measured are left out."""
        read_NL, wanted_NH = read_BLC.movedim(1, 2).flatten(0, 1), wanted_BHC.movedim(1, 2).flatten(0, 1)
        whole_N = wanted_NH.isfinite().all(1)
        read_NL, wanted_NH = read_NL[whole_N], wanted_NH[whole_N]
        self.read += (read_NL.T @ read_NL).double()
        self.both += (read_NL.T @ wanted_NH).double()
        self.wanted += wanted_NH.double().square().sum()
        self.count += len(read_NL)

    def solved(self, strength: float) -> Tensor:
        """Return the weights (H, L) of the least squares with a ridge."""
        size = len(self.read)
        ridge = strength * self.read.diagonal().mean().clamp_min(1e-12)
        return torch.linalg.solve(self.read + ridge * torch.eye(size, dtype=torch.float64), self.both).T.float()

    def error(self, weight_HL: Tensor) -> Tensor:
        """The sum of squared errors that weights make here."""
        weight_LH = weight_HL.double().T
        fitted = (self.read @ weight_LH * weight_LH).sum() - 2 * (self.both * weight_LH).sum()
        return self.wanted + fitted


def _strength(folds: list[Moments]) -> float:
    """The ridge that errs least on folds that it was not fitted on; the middle one where there is one fold alone."""
    filled = [fold for fold in folds if fold.count]
    if len(filled) < 2:
        return 1.0
    errors = []
    for strength in STRENGTHS:
        left = [Moments.total([other for other in filled if other is not fold]).solved(strength) for fold in filled]
        errors.append(sum(float(fold.error(weight)) for fold, weight in zip(filled, left, strict=True)))
    return STRENGTHS[min(range(len(errors)), key=errors.__getitem__)]
