"""Many networks in one: a linear layer that members share, each with scales of its own before and after it.

An ensemble for little more than the price of one (Wen et al. 2020, "BatchEnsemble", arXiv:2002.06715).

Shapes: B examples, K members, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SharedLinear(nn.Module):
    """Map (B, K, `width_in`) to (B, K, `width_out`) by one matrix, and scales and a bias of each member's own."""

    def __init__(self, members: int, width_in: int, width_out: int) -> None:
        super().__init__()
        self.members = members
        self.linear = nn.Linear(width_in, width_out, bias=False)
        # One member's after another's, not as a matrix: they are vectors, and the optimizer is to treat them so.
        # Members begin with different signs, and so with different answers.
        self.scale_in = nn.Parameter(torch.randint(2, (members * width_in,)) * 2.0 - 1)
        self.scale_out = nn.Parameter(torch.ones(members * width_out))
        self.bias = nn.Parameter(torch.zeros(members * width_out))

    def forward(self, x_BKD: Tensor) -> Tensor:
        """(B, K, width_in), or (B, 1, width_in) that all members are given, -> (B, K, width_out)."""
        y_BKD = self.linear(x_BKD * self._own(self.scale_in, x_BKD))
        return torch.addcmul(self._own(self.bias, y_BKD), y_BKD, self._own(self.scale_out, y_BKD))

    def _own(self, vectors: Tensor, like: Tensor) -> Tensor:
        """The members' vectors (K, D), in the precision of what they are to change."""
        return vectors.view(self.members, -1).to(like.dtype)
