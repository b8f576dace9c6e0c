"""The floor that knows nobody: what most people take.

Shapes: B users, I items.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._histories import taken
from engram.floors.floor import Batches, Floor


class Popularity(Floor):
    """Recommend to everybody what was taken most often. Reads the role `history`."""

    def build(self, features: Any) -> nn.Module:
        """Return the module with all items equally popular."""
        return Popular(features.history.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Count; one pass, whatever `seconds` says."""
        module = Popular(features.history.size)
        for batch in batches("history"):
            module.count += torch.bincount(taken(batch)[1], minlength=features.history.size)
        return module


class Popular(nn.Module):
    """Gives everybody the same scores: the logarithm of how often each item was taken."""

    count: Tensor

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(num_items))

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> (B, I)."""
        return (self.count + 0.5).log().expand(history_BL2.shape[0], -1)
