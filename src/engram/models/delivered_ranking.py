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
        return mixed(score_BI, self.floor(*inputs).float(), self.share)


def standardised(score_BI: Tensor) -> Tensor:
    """Bring the scores of each example to mean 0 and spread 1."""
    mean_B1, spread_B1 = _scale(score_BI)
    return (score_BI - mean_B1) / spread_B1


def mixed(network_BI: Tensor, floor_BI: Tensor, share: Tensor) -> Tensor:
    """Mix standardised scores, `share` of them the network's, in as few passes over them as there can be."""
    (mean_B1, spread_B1), (floor_mean_B1, floor_spread_B1) = _scale(network_BI), _scale(floor_BI)
    network_B1, floor_B1 = share / spread_B1, (1 - share) / floor_spread_B1
    middle_B1 = network_B1 * mean_B1 + floor_B1 * floor_mean_B1
    return torch.addcmul(-middle_B1, network_BI, network_B1).addcmul_(floor_BI, floor_B1)


def _scale(score_BI: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the spread of each example's scores (B, 1)."""
    spread_B1, mean_B1 = torch.std_mean(score_BI, dim=1, keepdim=True)
    return mean_B1, spread_B1.clamp(min=1e-6)
