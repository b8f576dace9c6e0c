"""The floor that sees which items go together: a linear model of all pairs of items, in closed form.

Steck 2019, "Embarrassingly shallow autoencoders for sparse data", arXiv:1905.03375: each item is predicted from all
others by ridge regression, for which one inverse suffices.

Shapes: B users, L interactions of the longest, I items, K of them that have pairs.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._histories import counted, pairs_together, taken, worth_pairing
from engram.floors.floor import Batches, Floor

RIDGES = (50.0, 150.0, 400.0, 1000.0)
"""Tried on the last interaction of some users."""

TRIED_ON = 2_000
SPEED = 5e10
"""Multiplications a second that an inverse is sure to make; of more items than it has time for, the popular ones."""


class Ease(Floor):
    """Score each item by what it usually stands beside. Reads the role `history`."""

    deliverable = True

    def build(self, features: Any) -> nn.Module:
        """Return the module that knows no pair."""
        return Paired(features.history.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Try some ridges, and keep the best."""
        until, number = time.monotonic() + seconds, features.history.size
        count_I = counted(batches, number)
        kept_K = worth_pairing(count_I, most=int((seconds / len(RIDGES) / 3 * SPEED) ** (1 / 3)))
        module = Paired(number)
        module.counted(count_I)
        together_KK, _ = pairs_together(batches, kept_K, number, until=time.monotonic() + seconds / 3)
        best = -1.0
        for ridge in RIDGES:
            weight_KK = solved(together_KK, ridge)
            found = _hits(batches, kept_K, weight_KK, number) if len(kept_K) else 0.0
            if found > best:
                best = found
                module.take(kept_K, weight_KK, ridge)
            if time.monotonic() > until:
                break
        return module

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """The same with more interactions and the ridge that was best."""
        number, ridge = features.history.size, float(fitted.ridge)  # type: ignore[arg-type]
        count_I = counted(batches, number)
        kept_K = worth_pairing(count_I, most=int((seconds / 3 * SPEED) ** (1 / 3)))
        together_KK, _ = pairs_together(batches, kept_K, number, until=time.monotonic() + seconds / 2)
        module = Paired(number)
        module.counted(count_I)
        module.take(kept_K, solved(together_KK, ridge), ridge)
        return module


def solved(together_KK: Tensor, ridge: float) -> Tensor:
    """The weights (K, K) by which items speak for one another, none for itself."""
    if not len(together_KK):
        return together_KK.clone()
    regular_KK = together_KK + ridge * torch.eye(len(together_KK))
    inverse_KK = torch.cholesky_inverse(torch.linalg.cholesky(regular_KK))
    weight_KK = inverse_KK / -inverse_KK.diagonal()
    return weight_KK.fill_diagonal_(0.0)


def _hits(batches: Batches, kept_K: Tensor, weight_KK: Tensor, num_items: int) -> float:
    """How high the last interaction of some users is ranked without it among their others: mean reciprocal log rank.

    The item's own row takes part in fitting, as each is one of very many.
    """
    trial, total, seen = Paired(num_items), 0.0, 0
    trial.take(kept_K, weight_KK, 0.0)
    for batch in batches("history"):
        score_BI = trial(batch.history)
        row, item = taken(batch)
        last_B = batch.wanted[:, 0] - 1
        own_B = score_BI[torch.arange(len(last_B)), last_B.clamp(min=0)]
        score_BI[row, item] = -torch.inf
        rank_B = 1 + (score_BI > own_B[:, None]).sum(1)
        total, seen = total + float((1 / (1 + rank_B).log2())[last_B >= 0].sum()), seen + len(last_B)
        if seen >= TRIED_ON:
            break
    return total / max(1, seen)


class Paired(nn.Module):
    """Adds up what each item of a history says of all others; of items without pairs a little by how popular they are.

    kept: the items (K,) that have pairs. weight: (K, K), in half precision, from the row's item for the column's.
    """

    kept: Tensor
    weight: Tensor
    alone: Tensor
    ridge: Tensor

    def __init__(self, num_items: int) -> None:
        super().__init__()
        # the data decides how many there are
        self.register_buffer("kept", nn.UninitializedBuffer(dtype=torch.int64))
        self.register_buffer("weight", nn.UninitializedBuffer(dtype=torch.float16))
        self.register_buffer("alone", torch.zeros(num_items))
        self.register_buffer("ridge", torch.zeros(()))

    def counted(self, count_I: Tensor) -> None:
        """Rank what has no pairs by how popular it is, below what has."""
        self.alone.copy_(1e-4 * (count_I / count_I.max().clamp(min=1) - 1))

    def take(self, kept_K: Tensor, weight_KK: Tensor, ridge: float) -> None:
        """Take over what was solved."""
        self.kept, self.weight = kept_K, weight_KK.half()
        self.ridge.fill_(ridge)

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> (B, I)."""
        number_BL = history_BL2[..., 0].long()
        taken_BI = self.alone.new_zeros(len(number_BL), len(self.alone) + 1).scatter_(1, number_BL, 1.0)[:, 1:]
        kept_BK = taken_BI[:, self.kept]
        kind = torch.bfloat16 if len(self.kept) > 500 and kept_BK.device.type == "cpu" else torch.float32
        score_BK = (kept_BK.to(kind) @ self.weight.to(kind)).float()
        return self.alone.expand(len(number_BL), -1).index_add(1, self.kept, score_BK)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take weights of any number of pairs: the data decides it."""
        kept, weight = state_dict.get(prefix + "kept"), state_dict.get(prefix + "weight")
        if kept is not None and weight is not None and weight.shape == (len(kept), len(kept)):
            within = not len(kept) or (int(kept.min()) >= 0 and int(kept.max()) < len(self.alone))
            if within:
                self.kept, self.weight = torch.zeros_like(kept), torch.zeros_like(weight)
        super()._load_from_state_dict(state_dict, prefix, *rest)
