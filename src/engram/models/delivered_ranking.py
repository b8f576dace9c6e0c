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
    centred_BI, spread_B1 = _centred(score_BI)
    return centred_BI / spread_B1


def mixed(network_BI: Tensor, floor_BI: Tensor, share: Tensor) -> Tensor:
    """Mix standardised scores, `share` of them the network's, in few passes over them."""
    (network_BI, network_B1), (floor_BI, floor_B1) = _centred(network_BI), _centred(floor_BI)
    return network_BI.mul_(share / network_B1).addcmul_(floor_BI, (1 - share) / floor_B1)


def _centred(score_BI: Tensor) -> tuple[Tensor, Tensor]:
    """Scores less their mean, and their spread (B, 1); `torch.std_mean` takes several times as long on CPUs."""
    centred_BI = score_BI - score_BI.mean(1, keepdim=True)
    spread_B1 = torch.linalg.vector_norm(centred_BI, dim=1, keepdim=True) / max(1, score_BI.shape[1] - 1) ** 0.5
    return centred_BI, spread_B1.clamp(min=1e-6)
