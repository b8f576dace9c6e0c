"""The floor that sees which items go together: a linear model of all pairs of items, in closed form.

Steck 2019, "Embarrassingly shallow autoencoders for sparse data", arXiv:1905.03375: each item is predicted from all
others by ridge regression, for which one inverse suffices.

Shapes: B users, L interactions of the longest, I items, K of them that have pairs.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engram.floors._histories import MOST_ITEMS, counted, pairs_together, taken, worth_pairing
from engram.floors.floor import Batches, Floor

RIDGES = (100.0, 300.0, 1000.0, 30.0)
"""Tried in this order, as far as there is time."""

TRIED_ON = 2_000
SPEED = 5e10
"""Multiplications a second that an inverse is sure to make; of more items than it has time for, the popular ones."""


MOST_EXACT = 500
"""Items up to which weights are kept exactly; of more they would be large and slow."""

LEAST_ITEMS = 4_000
"""So many have an inverse in a second or two, whatever time is left."""


class Ease(Floor):
    """Score each item by what it usually stands beside. Reads the role `history`.

    decays: by what powers of their age what was taken counts less; the one that ranks best is kept (0: all alike).
    """

    decays: ClassVar[tuple[float, ...]] = (0.0,)

    def build(self, features: Any) -> nn.Module:
        """Return the module that knows no pair."""
        return Paired(features.history.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Choose the ridge without the last interaction of each user, by how high that is ranked; then fit on all."""
        until, number = time.monotonic() + seconds, features.history.size
        count_I = counted(batches, number)
        most = max(LEAST_ITEMS, int((seconds / len(RIDGES) / 4 * SPEED) ** (1 / 3)))
        kept_K = worth_pairing(count_I, most=min(most, MOST_ITEMS))
        before_KK = pairs_together(batches, kept_K, number, seconds=seconds / 6, all_known=False)
        ranked: dict[float, float] = {}
        for ridge in RIDGES:
            trial = Paired(number).take(torch.zeros(number), kept_K, solved(before_KK, ridge), ridge)
            ranked[ridge] = _ranked(batches, trial.aged(self.decays[0]))
            if time.monotonic() > until:
                break
        ridge = max(ranked, key=lambda one: ranked[one])
        trial = Paired(number).take(torch.zeros(number), kept_K, solved(before_KK, ridge), ridge)
        decay = max(self.decays, key=lambda one: _ranked(batches, trial.aged(one)))
        together_KK = pairs_together(batches, kept_K, number, seconds=seconds / 6)
        return Paired(number).take(count_I, kept_K, solved(together_KK, ridge), ridge).aged(decay)


def solved(together_KK: Tensor, ridge: float) -> Tensor:
    """The weights (K, K) by which items speak for one another, none for itself."""
    if not len(together_KK):
        return together_KK.clone()
    regular_KK = together_KK + ridge * torch.eye(len(together_KK))
    inverse_KK = torch.cholesky_inverse(torch.linalg.cholesky(regular_KK))
    weight_KK = inverse_KK / -inverse_KK.diagonal()
    return weight_KK.fill_diagonal_(0.0)


def _ranked(batches: Batches, trial: Paired) -> float:
    """How high the last interaction of some users is ranked by their others: the mean of 1 / log2(1 + rank)."""
    total, seen = 0.0, 0
    for batch in batches("history"):
        score_BI, last_B = trial(batch.history), batch.wanted[:, 0] - 1
        own_B = score_BI[torch.arange(len(last_B)), last_B.clamp(min=0)]
        score_BI[taken(batch, all_known=False)] = -torch.inf
        rank_B = 1 + (score_BI > own_B[:, None]).sum(1)
        total, seen = total + float((1 / (1 + rank_B).log2())[last_B >= 0].sum()), seen + len(last_B)
        if seen >= TRIED_ON:
            break
    return total / max(1, seen)


def _kind(num_kept: int) -> torch.dtype:
    """In which weights are kept and multiplied."""
    return torch.bfloat16 if num_kept > MOST_EXACT else torch.float32


class Paired(nn.Module):
    """Adds up what each item of a history says of all others; those without pairs stand below, by their popularity.

    kept: the items (K,) that have pairs. weight: (K, K), from the row to the column, of many pairs in half precision.
    decay: what was taken n interactions before the last counts (1 + n) to the power of minus this.
    """

    kept: Tensor
    weight: Tensor
    alone: Tensor
    ridge: Tensor
    decay: Tensor

    def __init__(self, num_items: int, *, num_kept: int | None = None) -> None:
        super().__init__()
        self.record: dict[str, Any] = {"arguments": {"num_items": num_items}}
        sizes = {"kept": (num_kept,), "weight": (num_kept, num_kept)}
        for name, kind in (("kept", torch.int64), ("weight", _kind(num_kept or 0))):
            # Any number is taken where nobody says how many have pairs.
            made: Any = (
                nn.UninitializedBuffer(dtype=kind)  # type: ignore[call-arg]  # missing in torch's types
                if num_kept is None
                else torch.zeros(sizes[name], dtype=kind)  # type: ignore[arg-type]
            )
            self.register_buffer(name, made)
        self.register_buffer("alone", torch.zeros(num_items))
        self.register_buffer("ridge", torch.zeros(()))
        self.register_buffer("decay", torch.zeros(()))

    def take(self, count_I: Tensor, kept_K: Tensor, weight_KK: Tensor, ridge: float) -> Paired:
        """Take over what was solved. count: what has no pairs is ranked by how popular it is, below what has."""
        self.alone.copy_(1e-4 * (count_I / count_I.max().clamp(min=1) - 1))
        self.kept, self.weight = kept_K, weight_KK.to(_kind(len(kept_K)))
        self.record["arguments"]["num_kept"] = len(kept_K)
        self.ridge.fill_(ridge)
        return self

    def aged(self, decay: float) -> Paired:
        """Let what was taken long ago count less."""
        self.decay.fill_(decay)
        return self

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> (B, I)."""
        number_BL, num_kept = history_BL2[..., 0].long().clamp(min=0), len(self.kept)
        place_L = torch.arange(number_BL.shape[1], device=number_BL.device)
        age_BL = ((number_BL > 0).sum(1, keepdim=True) - 1 - place_L).clamp(min=0)
        counts_BL = ((1.0 + age_BL) ** -self.decay).to(self.weight.dtype)
        # where each item, by its number from 1 on, stands among those that have pairs; the others are all put behind
        order_K = torch.arange(num_kept, device=number_BL.device)
        among_I = torch.full_like(self.alone, num_kept, dtype=torch.int64).index_copy(0, self.kept, order_K)
        among_BL = torch.cat([among_I.new_full((1,), num_kept), among_I])[number_BL]
        taken_BK = self.weight.new_zeros(number_BL.shape[0], num_kept + 1).scatter(1, among_BL, counts_BL)[:, :-1]
        score_BK = taken_BK @ self.weight + self.alone[self.kept]  # in full precision, as one of the two is
        return self.alone.repeat(number_BL.shape[0], 1).index_copy_(1, self.kept, score_BK)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take weights of any number of pairs: the data decides it."""
        kept, weight = state_dict.get(prefix + "kept"), state_dict.get(prefix + "weight")
        if kept is not None and weight is not None and weight.shape == (len(kept), len(kept)):
            within = not len(kept) or (int(kept.min()) >= 0 and int(kept.max()) < len(self.alone))
            if within:
                self.kept, self.weight = torch.zeros_like(kept), torch.zeros_like(weight)
                self.record["arguments"]["num_kept"] = len(kept)
        super()._load_from_state_dict(state_dict, prefix, *rest)
