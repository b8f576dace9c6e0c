"""The floor that recommends what is often taken together with what one has: neighbours of items by cosine.

Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms".

Shapes: K items that have pairs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from engram.floors._histories import counted, pairs_together, worth_pairing
from engram.floors.ease import Paired
from engram.floors.floor import Batches, Floor

NEIGHBOURS = 100
DOUBT = 10.0
"""Users who took both of two items, of which half are believed: few may be chance."""

MOST = 6_000
"""Items whose neighbours are looked for; of more, the most popular ones."""


class ItemNeighbours(Floor):
    """Score each item by its likeness to those taken. Reads the role `history`."""

    def build(self, features: Any) -> nn.Module:
        """Return the module that knows no pair."""
        return Paired(features.history.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Count who took both of two items, for as many users as there is time for."""
        number = features.history.size
        count_I = counted(batches, number)
        kept_K = worth_pairing(count_I, most=MOST)
        together_KK = pairs_together(batches, kept_K, number, seconds=seconds / 2)
        return Paired(number).take(count_I, kept_K, likeness(together_KK), 0.0)


def likeness(together_KK: Tensor) -> Tensor:
    """The cosine (K, K) of each item's users with those of its nearest neighbours, less where few took both."""
    count_K = together_KK.diagonal().clamp(min=1)
    like_KK = together_KK / (count_K.outer(count_K).sqrt()) * together_KK / (together_KK + DOUBT)
    like_KK.fill_diagonal_(0.0)
    if len(like_KK) > NEIGHBOURS:
        least_K = like_KK.topk(NEIGHBOURS, dim=0).values[-1]
        like_KK[like_KK < least_K] = 0.0
    return like_KK
