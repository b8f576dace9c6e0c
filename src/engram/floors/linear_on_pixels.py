"""The floor that looks at single pixels: logistic regression, the strongest cheap model without hidden layers."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._gathering import gathered
from engram.floors._logistic import fit_logistic
from engram.floors.floor import Batches, Floor

_MAX_FEATURES = 1024
_MAX_VALUES = 60_000 * _MAX_FEATURES  # 240 MiB of float32 at most, however large the data


class LinearOnPixels(Floor):
    """Logistic regression on pixels, of pictures averaged down to at most 1,024 values.

    Reads the roles `image` (B, channels, height, width) and `label`: class numbers (B,) for softmax, or
    yes or no (B, C) for sigmoids. Each pixel is standardised, and the strength of the ridge is chosen on
    held-out rows.
    """

    def build(self, features: Any) -> nn.Module:
        """Return the module with all weights zero."""
        return PooledLinear(tuple(features.image.shape), features.label.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit in one pass over the batches, reading for at most half of `seconds`."""
        began = time.monotonic()
        module = PooledLinear(tuple(features.image.shape), features.label.size)
        parts, label = gathered(batches, "image", take=module.pixels, room=_MAX_VALUES, until=began + seconds / 2)
        x_ND = torch.cat(parts)
        del parts
        linear = fit_logistic(x_ND, label, num_classes=features.label.size, until=began + seconds)
        module.linear.load_state_dict({name: linear[name] for name in ("weight", "bias")})
        return module


class PooledLinear(nn.Module):
    """Average pictures down to `side` by `side` pixels and map them to logits by one linear layer."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        shrink = max(1.0, math.sqrt(channels * height * width / _MAX_FEATURES))
        size = (max(1, int(height / shrink)), max(1, int(width / shrink)))
        self.pool = nn.AdaptiveAvgPool2d(size) if shrink > 1 else nn.Identity()
        self.linear = nn.Linear(channels * size[0] * size[1], num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def pixels(self, x_BCHW: Tensor) -> Tensor:
        """Return the averaged pixels (B, D)."""
        pooled: Tensor = self.pool(x_BCHW.float())
        return pooled.flatten(1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return logits (B, C)."""
        logits_BC: Tensor = self.linear(self.pixels(x_BCHW))
        return logits_BC
