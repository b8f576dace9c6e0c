"""What is delivered where answers are numbers: network, perhaps a floor, intervals and unfamiliarity, as one module.

Shapes: B examples, V values of an answer, D width of the network's last hidden layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.models.delivered import Delivered

LEVEL = 0.8
"""How often the truth is to lie in an interval where nobody says otherwise."""

NUM_WIDTHS = 101


class DeliveredNumber(Delivered):
    """A trained network whose answers are numbers with the intervals that the truth lies in as often as asked for.

    The network gives numbers (B, 1), or beside each how far off it thinks it is (B, 2). Buffers are filled by
    `engram.evaluate.conformal`: widths, half the interval for levels of 0 to 1 in hundredths, in units of what the
    network thinks; relative, whether that counts (1), or all intervals are as wide (0).
    """

    widths: Tensor
    relative: Tensor

    def __init__(self, network: nn.Module, *, num_hidden: int, **arguments: Any) -> None:
        super().__init__(network, num_hidden=num_hidden, **{**arguments, "num_outputs": 1})
        self.register_buffer("widths", torch.zeros(NUM_WIDTHS))
        self.register_buffer("relative", torch.zeros(()))

    def forward(self, *inputs: Tensor, level: float = LEVEL) -> Tensor:
        """Return numbers with both ends of their intervals (B, 3)."""
        found_BV = self.seen(*inputs)
        value_B1, spread_B1 = found_BV[:, :1], self.spread(found_BV)
        if self.floor is not None:
            value_B1 = self.share * value_B1 + (1 - self.share) * self.floor(*inputs).float()
        half_B1 = self.width(level) * spread_B1
        return torch.cat([value_B1, value_B1 - half_B1, value_B1 + half_B1], 1)

    def seen(self, *inputs: Tensor) -> Tensor:
        """Return what the network gives, one row an example (B, V)."""
        found: Tensor = self.network(*inputs).float()
        return found[:, None] if found.ndim == 1 else found

    def spread(self, found_BV: Tensor) -> Tensor:
        """Return what widths are multiplied by (B, 1)."""
        last_B1 = found_BV[:, -1:] if found_BV.shape[1] > 1 else torch.ones_like(found_BV)
        return last_B1**self.relative

    def width(self, level: float) -> Tensor:
        """Return half the interval for a level from 0 to 1, between the nearest hundredths."""
        place = min(max(level, 0.0), 1.0) * (NUM_WIDTHS - 1)
        below = min(int(place), NUM_WIDTHS - 2)
        return torch.lerp(self.widths[below], self.widths[below + 1], place - below)

    def distance(self, hidden_BD: Tensor | None, logits_BC: Tensor) -> Tensor:
        """Return (B,) how far off inputs are; all alike where the network has no last hidden layer to tell by."""
        return logits_BC.new_zeros(len(logits_BC)) if hidden_BD is None else super().distance(hidden_BD, logits_BC)
