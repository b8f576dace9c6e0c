"""A forecaster: each column by itself, through a linear shortcut and a transformer over patches of its past.

Every window is brought to mean 0 and spread 1 first, and its forecast back (reversible normalisation, Kim et al. 2022,
openreview cGDAkQo1C0p), so that a series may drift; columns share all weights and do not see one another (PatchTST, Nie
et al. 2023, arXiv:2211.14730). What calendar and other columns known in advance do to a series is taken out of its past
and put back into its future.

Shapes: B windows, L steps of the lookback, H of the horizon, T of both, C columns to forecast, U others, K known in
advance, F of all, N patches, D width, Q quantiles.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.core.quantiles import LEVELS
from engram.models.layers.dropout import Dropout
from engram.models.layers.transformer import Block, RMSNorm, Rotary, initialise

SIZES = {
    "small": {"width": 32, "layers": 2},
    "medium": {"width": 64, "layers": 3},
    "large": {"width": 128, "layers": 4},
}

PATCH, STRIDE = 16, 8
"""Steps of a patch, and from one to the next: PatchTST's."""

FEWEST = 4
"""Patches; of a shorter past a perceptron reads all steps at once."""

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
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.lookback, self.horizon, self.columns, self.known = lookback, horizon, columns, known
        self.linear = nn.Linear(lookback, horizon)
        number = (lookback - PATCH) // STRIDE + 1
        self.reader: nn.Module = (
            Patches(number, width, layers=layers, heads=heads, dropout=dropout)
            if number >= FEWEST
            else Steps(lookback, width, dropout=dropout)
        )
        self.head = nn.Linear(self.reader.size, horizon)
        self.spread = nn.Linear(width, horizon * 2)
        self.others = Others(others, columns, horizon, width) if others else None
        self.effect = Effect(known, columns, width) if known else None
        levels = torch.tensor([NormalDist().inv_cdf(level) for level in LEVELS])
        self.fan = nn.Parameter(levels.expand(horizon, -1).diff(dim=-1).log() + 0.0)
        for layer in (self.linear, self.head, self.spread):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.recipe = {
            "precision": "float32",
            "optimizer.muon_learning_rate": 0.0,
            "optimizer.learning_rate": 1e-3,
            "optimizer.head_learning_rate": 1e-3,
            "optimizer.vector_learning_rate": 1e-3,
            "optimizer.weight_decay": 0.05,
            "optimizer.clip_norm": 1.0,
            "optimizer.average_decay": 0.98,
        }

    def forward(self, series_BTF: Tensor) -> Tensor:
        """(B, T, F) -> (B, H, C, 1 + Q)."""
        past_BLC = series_BTF[:, : self.lookback, : self.columns].float()
        mean_B1C = past_BLC.mean(1, keepdim=True)
        size_B1C = past_BLC.abs().mean(1, keepdim=True)
        spread_B1C = past_BLC.std(1, keepdim=True, correction=0) + LEAST_SPREAD * size_B1C + 1e-9
        level_BLC = (past_BLC - mean_B1C) / spread_B1C
        effect_BTC = self.effect(series_BTF[..., -self.known :]) if self.effect is not None else None
        if effect_BTC is not None:
            level_BLC = level_BLC - effect_BTC[:, : self.lookback]
        read_BCL = level_BLC.transpose(1, 2)
        hidden_BCD, all_BCE = self.reader(read_BCL)
        ahead_BHC = (self.linear(read_BCL) + self.head(all_BCE)).transpose(1, 2)
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
        below_BCHQ = steps_BCHQ[..., : len(LEVELS) // 2]
        fan_BCHQ = functional.pad(steps_BCHQ.cumsum(-1), (1, 0)) - below_BCHQ.sum(-1, keepdim=True)
        return (fan_BCHQ + shift_BCH2[..., 1:]).transpose(1, 2)


class Patches(nn.Module):
    """A transformer over overlapping patches. size: of all that it says of a column."""

    def __init__(self, number: int, width: int, *, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.size = number * width
        self.embed = nn.Linear(PATCH, width)
        self.rotary = Rotary(width // heads)
        self.blocks = nn.ModuleList(Block(width, heads=heads, dropout=dropout) for _ in range(layers))
        self.norm = RMSNorm()
        self.dropout = Dropout(dropout)
        initialise(self, layers=layers)

    def forward(self, level_BCL: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, L) -> what it says of each column on the whole (B, C, D), and of each patch (B, C, N x D)."""
        patch_BCNP = level_BCL.unfold(-1, PATCH, STRIDE)
        x_XND = self.embed(patch_BCNP.flatten(0, 1))
        rotation = self.rotary(x_XND.shape[1], dtype=x_XND.dtype)
        for block in self.blocks:
            x_XND = block(x_XND, rotation)
        x_BCND = self.norm(x_XND).unflatten(0, level_BCL.shape[:2])
        return x_BCND.mean(2), self.dropout(x_BCND.flatten(2))


class Steps(nn.Module):
    """A perceptron over all steps of a short past."""

    def __init__(self, lookback: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.size = width
        self.read = nn.Linear(lookback, width)
        self.dropout = Dropout(dropout)

    def forward(self, level_BCL: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, L) -> (B, C, D), twice."""
        hidden_BCD = self.dropout(functional.gelu(self.read(level_BCL)))
        return hidden_BCD, hidden_BCD


class Others(nn.Module):
    """What the recent past of other columns says of those to forecast."""

    def __init__(self, others: int, columns: int, horizon: int, width: int) -> None:
        super().__init__()
        self.columns = columns
        self.read = nn.Linear(others, width)
        self.head = nn.Linear(2 * width, horizon * columns)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, other_BLU: Tensor) -> Tensor:
        """(B, L, U) -> (B, H, C)."""
        mean_B1U = other_BLU.mean(1, keepdim=True)
        level_BLU = (other_BLU - mean_B1U) / (
            other_BLU.std(1, keepdim=True, correction=0) + 1e-6 + 1e-4 * mean_B1U.abs()
        )
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
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, known_BTK: Tensor) -> Tensor:
        """(B, T, K) -> (B, T, C)."""
        normal_BTK = self.norm(known_BTK.flatten(0, 1)).view_as(known_BTK)
        return self.head(functional.gelu(self.read(normal_BTK)))
