"""A forecaster: each column by itself, through a linear shortcut and a perceptron over all steps of its past.

Every window is brought to mean 0 and spread 1 first, and its forecast back (reversible normalisation, Kim et al. 2022,
openreview cGDAkQo1C0p), so that a series may drift; columns share all weights and do not see one another (Nie et al.
2023, arXiv:2211.14730; with a perceptron Li et al. 2023, arXiv:2305.10721). A transformer over patches of the past was
worse in four times the time (LOG.md, 2026-11-25). What calendar and other columns known in advance do to a series is
taken out of its past and put back into its future.

Shapes: B windows, L steps of the lookback, H of the horizon, T of both, C columns to forecast, U others, K known in
advance, F of all, D width, Q quantiles.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.core.quantiles import QUANTILES
from engram.models.layers.dropout import Dropout

WIDTHS = {"small": 128, "medium": 256, "large": 512}

BATCH = 448
"""Columns of numbers in a step, about, where a window holds several."""

LEAST_SPREAD = 1e-4
"""A window whose spread is below this share of its size counts as level."""


class Forecaster(nn.Module):
    """Answer windows (B, T, F) with (B, H, C, 1 + Q): the expected value, then the quantiles."""

    recipe: dict[str, Any]

    def __init__(
        self,
        *,
        lookback: int,
        horizon: int,
        columns: int,
        others: int = 0,
        known: int = 0,
        width: int = 128,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        self.lookback, self.horizon, self.columns, self.known = lookback, horizon, columns, known
        self.linear = nn.Linear(lookback, horizon)
        self.read = nn.Linear(lookback, width)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(width, horizon)
        self.spread = nn.Linear(width, horizon * 2)
        self.others = Others(others, columns, horizon, width) if others else None
        self.effect = Effect(known, columns, width) if known else None
        levels = torch.tensor([NormalDist().inv_cdf(level) for level in QUANTILES])
        self.fan = nn.Parameter(levels.expand(horizon, -1).diff(dim=-1).log())
        for layer in (self.linear, self.head, self.spread):
            begin_small(layer)
        self.recipe = {
            "precision": "float32",
            "optimizer.muon_learning_rate": 0.0,
            "optimizer.learning_rate": 1e-3,
            "optimizer.head_learning_rate": 1e-3,
            "optimizer.vector_learning_rate": 1e-3,
            "optimizer.weight_decay": 1.0,
            "optimizer.clip_norm": 1.0,
            "optimizer.average_decay": 0.98,
        }
        if columns > 1:
            self.recipe["batch_size"] = 2 ** min(8, max(5, round(math.log2(BATCH / columns))))

    def forward(self, series_BTF: Tensor) -> Tensor:
        """(B, T, F) -> (B, H, C, 1 + Q)."""
        past_BLC = series_BTF[:, : self.lookback, : self.columns].float()
        mean_B1C = past_BLC.mean(1, keepdim=True)
        size_B1C = past_BLC.abs().mean(1, keepdim=True)
        spread_B1C = torch.maximum(past_BLC.std(1, keepdim=True, correction=0), LEAST_SPREAD * size_B1C + 1e-9)
        level_BLC = (past_BLC - mean_B1C) / spread_B1C
        effect_BTC = self.effect(series_BTF[..., -self.known :]) if self.effect is not None else None
        if effect_BTC is not None:
            level_BLC = level_BLC - effect_BTC[:, : self.lookback]
        read_BCL = level_BLC.transpose(1, 2)
        hidden_BCD = self.dropout(functional.gelu(self.read(read_BCL)))
        ahead_BHC = (self.linear(read_BCL) + self.head(hidden_BCD)).transpose(1, 2)
        if self.others is not None:
            ahead_BHC = ahead_BHC + self.others(series_BTF[:, : self.lookback, self.columns : -self.known or None])
        if effect_BTC is not None:
            ahead_BHC = ahead_BHC + effect_BTC[:, self.lookback :]
        fan_BHCQ = self._fan(hidden_BCD)
        answer_BHCA = torch.cat([ahead_BHC[..., None], ahead_BHC.detach()[..., None] + fan_BHCQ], -1)
        return answer_BHCA * spread_B1C[..., None] + mean_B1C[..., None]

    def _fan(self, hidden_BCD: Tensor) -> Tensor:
        """Quantiles (B, H, C, Q) around the expected value, in ascending order."""
        shift_BCH2 = self.spread(hidden_BCD).unflatten(-1, (self.horizon, 2))
        steps_BCHQ = self.fan.exp() * shift_BCH2[..., :1].exp()
        below_BCHQ = steps_BCHQ[..., : len(QUANTILES) // 2]
        fan_BCHQ = functional.pad(steps_BCHQ.cumsum(-1), (1, 0)) - below_BCHQ.sum(-1, keepdim=True)
        return (fan_BCHQ + shift_BCH2[..., 1:]).transpose(1, 2)


def begin_small(layer: nn.Linear) -> None:
    """Begin with next to nothing: what is forecast first is the mean of the past."""
    nn.init.normal_(layer.weight, std=0.1 * layer.in_features**-0.5)
    nn.init.zeros_(layer.bias)


class Others(nn.Module):
    """What the recent past of other columns says of those to forecast."""

    def __init__(self, others: int, columns: int, horizon: int, width: int) -> None:
        super().__init__()
        self.columns = columns
        self.read = nn.Linear(others, width)
        self.head = nn.Linear(2 * width, horizon * columns)
        begin_small(self.head)

    def forward(self, other_BLU: Tensor) -> Tensor:
        """(B, L, U) -> (B, H, C)."""
        mean_B1U = other_BLU.mean(1, keepdim=True)
        spread_B1U = other_BLU.std(1, keepdim=True, correction=0) + LEAST_SPREAD * mean_B1U.abs() + 1e-6
        level_BLU = (other_BLU - mean_B1U) / spread_B1U
        hidden_BLD = functional.gelu(self.read(level_BLU))
        said_BE = torch.cat([hidden_BLD[:, -1], hidden_BLD.mean(1)], -1)
        return self.head(said_BE).unflatten(-1, (-1, self.columns))


class Effect(nn.Module):
    """What is known in advance of a step does to each column at that step, in units of the window's spread."""

    def __init__(self, known: int, columns: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(known)
        self.read = nn.Linear(known, width)
        self.head = nn.Linear(width, columns)
        begin_small(self.head)

    def forward(self, known_BTK: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, C)."""
        normal_BTK = self.norm(known_BTK.flatten(0, 1)).view_as(known_BTK)
        return self.head(functional.gelu(self.read(normal_BTK)))
