"""What is delivered where scores only rank: network and floor blended on a common scale.

Shapes: B examples, I items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engram.models.delivered import Delivered


class DeliveredRanking(Delivered):
    """A network whose scores (B, I) of each example are brought to one scale with the floor's, then mixed.

    What scores mean does not matter, only their order, so that nothing is calibrated.
    """

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the scores (B, I)."""
        score_BI = self.seen(*inputs)
        if self.floor is None:
            return score_BI
        return torch.lerp(standardised(self.floor(*inputs).float()), standardised(score_BI), self.share)


def standardised(score_BI: Tensor) -> Tensor:
    """Bring the scores of each example to mean 0 and spread 1."""
    spread_B1, mean_B1 = torch.std_mean(score_BI, dim=1, keepdim=True)
    return (score_BI - mean_B1) / spread_B1.clamp(min=1e-6)
