"""Dropout whose random numbers cost little: on CPUs drawing them takes longer than what they are for.

Shapes: any.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 256
"""A byte of randomness for each value; shares are multiples of 1 / 256, and what is kept is scaled by the true one."""


class Dropout(nn.Module):
    """Sets a share of values to zero in training and scales the others, so that the mean stays.

    On CPUs one random number of 8 bytes decides on 8 values, 3 times as fast as `nn.Dropout` (LOG.md, 2026-11-25).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        assert 0 <= share < 1, "something is kept"
        self.share = share

    def extra_repr(self) -> str:
        """Shown within the network."""
        return f"share={self.share}"

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Any shape -> the same. onto: what is then added."""
        if not self.training or not self.share or x.device.type != "cpu":
            x = functional.dropout(x, self.share, self.training)
            return x if onto is None else onto + x
        kept = keeping(x, round(self.share * LEVELS))
        return x * kept if onto is None else _Added.apply(onto, x, kept)


class _Added(torch.autograd.Function):
    """onto + x * kept in one pass."""

    @staticmethod
    def forward(ctx: Any, onto: Tensor, x: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(kept)
        return torch.addcmul(onto, x, kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """What is left out has no gradient."""
        (kept,) = ctx.saved_tensors
        return grads[0], (grads[0] * kept).to(kept.dtype), None


def keeping(x: Tensor, dropped: int) -> Tensor:
    """Return what to multiply values by: 0 for `dropped` of 256 of them, for the others 256 / (256 - dropped)."""
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].ge_(dropped)  # compared in place: booleans are slow to convert
    return kept.view(x.shape).to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
