"""The floor that knows nothing but the labels: always their mean."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.floors.floor import Batches, Floor


class MeanValue(Floor):
    """Answer every input with the mean of the training labels. Reads the role `label`, numbers (B,)."""

    def build(self, features: Any) -> nn.Module:
        """Return the module with zero as its answer."""
        return Always()

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Take the mean; one pass over the labels, whatever `seconds` says."""
        module = Always()
        module.value.copy_(torch.cat([batch.label.double() for batch in batches("label")]).mean())
        return module


class Always(nn.Module):
    """Give the same number whatever comes in."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(()))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return (B, 1) for inputs whose first axis is B."""
        return self.value.expand(len(inputs[0]), 1)
