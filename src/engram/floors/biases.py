"""The floor of ratings that knows no taste: how an item is usually rated, and how generous a user is.

Shapes: B users, L interactions of the longest, I items.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.floors.floor import Batches, Floor

ITEM_DOUBT, USER_DOUBT = 5.0, 10.0
"""Imagined ratings at the mean beside those that an item or a user has (Koren 2010, "Factor in the neighbors")."""


class Biases(Floor):
    """Predict mean + item's bias + user's bias. Reads the role `history`."""

    def build(self, features: Any) -> nn.Module:
        """Return the module without biases."""
        history = features.history
        return Biased(history.size, mean=history.mean, spread=history.spread, low=history.low, high=history.high)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Two passes: items' biases, and again with users' taken off."""
        module = self.build(features)
        for _ in range(2):
            total_I, number_I = torch.zeros(features.history.size), torch.zeros(features.history.size)
            for batch in batches("history"):
                row, place = (batch.history[..., 0] > 0).nonzero(as_tuple=True)
                item, rating = batch.history[row, place, 0].long() - 1, batch.history[row, place, 1]
                total_I.index_add_(0, item, rating - module.generosity(batch.history)[row])  # type: ignore[operator]
                number_I.index_add_(0, item, torch.ones_like(rating))
            module.bias = total_I / (number_I + ITEM_DOUBT)
        return module


class Biased(nn.Module):
    """Predicts ratings (B, I) for histories (B, L, 2): a user's own bias is that of the ratings in the history."""

    bias: Tensor

    def __init__(self, num_items: int, *, mean: float, spread: float, low: float, high: float) -> None:
        super().__init__()
        self.mean, self.spread, self.low, self.high = mean, spread, low, high
        self.register_buffer("bias", torch.zeros(num_items))

    def generosity(self, history_BL2: Tensor) -> Tensor:
        """By how much users rate above what is usual for their items (B,), in spreads."""
        there_BL = history_BL2[..., 0] > 0
        left_BL = history_BL2[..., 1] - self.bias[(history_BL2[..., 0].long() - 1).clamp(min=0)]
        return (left_BL * there_BL).sum(1) / (there_BL.sum(1) + USER_DOUBT)

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> (B, I)."""
        said_BI = self.bias + self.generosity(history_BL2)[:, None]
        return (self.mean + self.spread * said_BI).clamp(self.low, self.high)
