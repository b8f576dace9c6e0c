"""What is delivered where answers are forecasts: network, perhaps a floor, and quantiles that hold what they say.

Shapes: B windows, H steps ahead, C columns, Q quantiles.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.core.quantiles import QUANTILES
from engram.models.delivered import Delivered


class DeliveredForecast(Delivered):
    """A network whose forecasts are blended with a floor's, and whose quantiles are moved to where they belong.

    num_outputs: H. correction: (H, Q), by how much each quantile of each step is moved, in units of the width of the
    interval; filled by `engram.evaluate.quantiles`.
    """

    correction: Tensor

    def __init__(self, network: nn.Module, *, num_outputs: int, num_hidden: int = 0, **arguments: Any) -> None:
        super().__init__(network, num_outputs=num_outputs, num_hidden=0, **arguments)
        self.register_buffer("correction", torch.zeros(num_outputs, len(QUANTILES)))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return (B, H, C, 1 + Q): the expected value, then the quantiles in ascending order."""
        found_BHCA = self.seen(*inputs)
        if self.floor is not None:
            found_BHCA = torch.lerp(self.floor(*inputs).float(), found_BHCA, self.share)
        moved_BHCQ = found_BHCA[..., 1:] + self.correction[:, None] * width(found_BHCA)
        return torch.cat([found_BHCA[..., :1], moved_BHCQ.sort(-1).values], -1)


def width(found_BHCA: Tensor) -> Tensor:
    """How wide intervals are (B, H, C, 1)."""
    return found_BHCA[..., -1:] - found_BHCA[..., 1:2]
