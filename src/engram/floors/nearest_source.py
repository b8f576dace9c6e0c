"""The floor of a translation memory: the training source that is most alike, and its translation as it stands.

Shapes: B examples, S ids of a source, N training pairs, G terms of a source, P places where terms occur, L ids of all
targets one after another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.vocabulary import NUM_SPECIAL, PADDING
from engram.floors.floor import Batches, Floor

MOST_PAIRS = 200_000
TERMS = 1 << 18
"""Pairs of neighbouring ids share so many numbers with single ones; two that meet do little harm."""

TOO_COMMON = 0.1
"""Terms in a larger share of the sources tell nothing, and would take nearly all the time."""

AT_ONCE = 10_000_000
"""Scores of sources that are compared at the same time."""


class NearestSource(Floor):
    """Answer with the target of the training pair whose source shares the rarest ids and pairs of ids.

    By the cosine of TF-IDF vectors. Reads the roles `source` and `target`: ids, BEGIN first, padded.
    """

    def build(self, features: Any) -> nn.Module:
        """Return the module without pairs."""
        return Memory()

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Keep the pairs of one pass, or those that half of `seconds` suffices for."""
        until, count = time.monotonic() + seconds / 2, 0
        terms, targets = [], []
        for batch in batches("source", "target"):
            terms += list(terms_of(batch.source))
            targets += [row[row != PADDING][1:] for row in batch.target]
            count += len(batch.source)
            if count >= MOST_PAIRS or time.monotonic() > until:
                break
        module = Memory()
        module.keep(terms, targets)
        return module


class Memory(nn.Module):
    """Training pairs, found by the terms of their sources.

    first: (TERMS + 1,) where a term's places begin. pair: (P,) the pair of each place. weight: (P,) what the term
    counts there. rarity: (TERMS,). begin: (N + 1,) where a pair's target begins in `target` (L,).
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("first", torch.zeros(TERMS + 1, dtype=torch.int64))
        self.register_buffer("rarity", torch.zeros(TERMS))
        self.register_buffer("pair", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("weight", torch.zeros(0))
        self.register_buffer("begin", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("target", torch.zeros(0, dtype=torch.int32))

    first: Tensor
    rarity: Tensor
    pair: Tensor
    weight: Tensor
    begin: Tensor
    target: Tensor

    def keep(self, terms: list[Tensor], targets: list[Tensor]) -> None:
        """Index pairs by the terms (G,) of their sources; targets: their ids."""
        sizes_N = torch.tensor([len(some) for some in terms])
        term_P, pair_P = torch.cat(terms), torch.repeat_interleave(torch.arange(len(terms)), sizes_N)
        number_T = torch.bincount(term_P, minlength=TERMS)
        self.rarity = torch.log(len(terms) / number_T.clamp_min(1)) * (number_T <= max(1, TOO_COMMON * len(terms)))
        weight_P = self.rarity[term_P]
        length_N = torch.zeros(len(terms)).index_add_(0, pair_P, weight_P.square()).sqrt().clamp_min(1e-6)
        useful_P = (weight_P > 0).nonzero().flatten()
        order_P = useful_P[term_P[useful_P].argsort(stable=True)]
        self.pair, self.weight = pair_P[order_P].int(), (weight_P / length_N[pair_P])[order_P]
        self.first = torch.nn.functional.pad(torch.bincount(term_P[order_P], minlength=TERMS).cumsum(0), (1, 0))
        self.begin = torch.nn.functional.pad(torch.tensor([len(some) for some in targets]).cumsum(0), (1, 0))
        self.target = torch.cat(targets).int()

    def write(self, source_BS: Tensor, **search: Any) -> tuple[Tensor, Tensor]:
        """Return the ids (B, T) of the nearest pairs' targets, closed by END and padded, and the cosines (B,)."""
        size = max(1, AT_ONCE // max(1, len(self.begin)))
        found = [self._nearest(terms_of(some)) for some in source_BS.split(size)]
        nearest_B, score_B = (torch.cat(parts) for parts in zip(*found, strict=True))
        length_B = self.begin[nearest_B + 1] - self.begin[nearest_B]
        at_T = torch.arange(int(length_B.max()), device=source_BS.device)
        place_BT = (self.begin[nearest_B, None] + at_T).clamp_max(len(self.target) - 1)
        ids_BT = torch.where(at_T < length_B[:, None], self.target[place_BT].long(), PADDING)
        return ids_BT, score_B

    def _nearest(self, terms: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The best pair of each source, and its cosine; the first pair where nothing is shared."""
        row_G = torch.repeat_interleave(torch.arange(len(terms)), torch.tensor([len(some) for some in terms]))
        term_G = torch.cat(terms).to(self.first.device)
        number_G = self.first[term_G + 1] - self.first[term_G]
        which_P = torch.repeat_interleave(torch.arange(len(term_G)), number_G.cpu()).to(self.first.device)
        place_P = (
            self.first[term_G[which_P]]
            + torch.arange(len(which_P)).to(which_P)
            - (number_G.cumsum(0) - number_G)[which_P]
        )
        num_pairs = len(self.begin) - 1
        score_BN = self.weight.new_zeros(len(terms) * num_pairs)
        at_P = row_G.to(which_P)[which_P] * num_pairs + self.pair[place_P]
        score_BN.index_add_(0, at_P, self.weight[place_P] * self.rarity[term_G[which_P]])
        score_B, nearest_B = score_BN.view(len(terms), num_pairs).max(1)
        length_B = torch.stack([self.rarity[some.to(self.first.device)].square().sum().sqrt() for some in terms])
        return nearest_B, score_B / length_B.clamp_min(1e-6)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Take pairs of any number."""
        for name, buffer in list(self.named_buffers()):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], dtype=buffer.dtype))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def terms_of(source_BS: Tensor) -> list[Tensor]:
    """Return the different terms (G,) of each source: its ids, and pairs of neighbours as numbers below TERMS."""
    single_BS = torch.where(source_BS >= NUM_SPECIAL, source_BS * 2654435761 % TERMS, -1)
    pair_BS = (source_BS[:, 1:] * 2246822519 + source_BS[:, :-1] * 3266489917) % TERMS
    pair_BS = torch.where((source_BS[:, 1:] >= NUM_SPECIAL), pair_BS, -1)
    return [row[row >= 0].unique() for row in torch.cat([single_BS, pair_BS], 1).cpu()]
