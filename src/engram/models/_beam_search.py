"""Beam search: the likeliest text that a network can be led to write, for a whole batch at once.

It knows the network only by what it says may follow. Hypotheses of all sources stand in one list, from which those
that have ended leave, so that no time is spent on them.

Shapes: B sources, N hypotheses that go on, T tokens so far, V ids, K hypotheses of one source.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from engram.core.vocabulary import BEGIN, END, PADDING, UNKNOWN

NEVER = (PADDING, BEGIN, UNKNOWN)
"""Ids that are not written."""


class Following(Protocol):
    """What may follow: a network with what it remembers of every hypothesis."""

    def __call__(self, token_N: Tensor) -> Tensor:
        """Read the last token of each hypothesis; return logits (N, V) of the next one."""
        ...

    def take(self, hypothesis_N: Tensor) -> None:
        """Go on with these hypotheses, in this order; one may come several times."""
        ...


@torch.no_grad()
def beam_search(
    following: Following, *, longest_B: Tensor, beam: int, length_penalty: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return (ids (B, T), each closed by END and padded, their scores (B,)).

    following: begins with one hypothesis for each of the B sources. longest_B: tokens that may be written, END counted.
    beam: hypotheses of one source; 1 takes the likeliest token each time. An ended one takes its place with it, and
    the search for a source is over when none is left that could still win. A score is the log-probability divided by
    length ** length_penalty (0 or more). The way that takes the likeliest token each time is always among the
    hypotheses, so that no score is below that of a greedy search.
    """
    found = _Found(longest_B)
    places_B = torch.full_like(longest_B, beam)
    source_N, greedy_N = torch.arange(len(longest_B), device=longest_B.device), torch.ones_like(longest_B).bool()
    score_N = torch.zeros(len(longest_B), device=longest_B.device)
    written_NT = longest_B.new_full((len(longest_B), 1), BEGIN)
    while len(source_N):
        length = written_NT.shape[1]
        logp_NV = following(written_NT[:, -1]).float().log_softmax(-1)
        total_NV = score_N[:, None] + _allowed(logp_NV, last_N=longest_B[source_N] == length)
        parent_N, token_N, score_N, greedy_N = _best(total_NV, source_N, greedy_N, places_B, beam=beam)
        source_N = source_N[parent_N]
        written_NT = torch.cat([written_NT[parent_N], token_N[:, None]], 1)

        ended_N = token_N == END
        found.add(source_N[ended_N], written_NT[ended_N, 1:], score_N[ended_N] / length**length_penalty)
        places_B = places_B - torch.bincount(source_N[ended_N], minlength=len(longest_B))
        could_win_N = score_N / longest_B[source_N] ** length_penalty > found.score_B[source_N]
        on_N = (~ended_N & could_win_N).nonzero().flatten()
        following.take(parent_N[on_N])
        source_N, score_N, greedy_N, written_NT = source_N[on_N], score_N[on_N], greedy_N[on_N], written_NT[on_N]
    return found.ids_BT[:, : found.length], found.score_B


def _allowed(logp_NV: Tensor, *, last_N: Tensor) -> Tensor:
    """Forbid what is never written, and on a last place all but the end."""
    logp_NV[:, NEVER] = -torch.inf
    only_end_NV = torch.full_like(logp_NV[:1], -torch.inf).repeat(int(last_N.sum()), 1)
    only_end_NV[:, END] = logp_NV[last_N, END]
    logp_NV[last_N] = only_end_NV
    return logp_NV


def _best(
    total_NV: Tensor, source_N: Tensor, greedy_N: Tensor, places_B: Tensor, *, beam: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the best continuations, as many of a source as it has places: (parent, token, score, whether greedy).

    Each hypothesis offers its best few on a grid of sources, hypotheses of one, and continuations of each.
    """
    total_NK, token_NK = total_NV.topk(min(beam, total_NV.shape[1]))
    count_B = torch.bincount(source_N, minlength=len(places_B))
    place_N = torch.arange(len(source_N), device=source_N.device) - (count_B.cumsum(0) - count_B)[source_N]
    shape = (len(places_B), beam, total_NK.shape[1])
    total_BKK, rank_BKK = total_NK.new_full(shape, -torch.inf), total_NK.new_full(shape, -torch.inf)
    number_BKK = torch.zeros(shape, dtype=torch.long, device=source_N.device)
    total_BKK[source_N, place_N], rank_BKK[source_N, place_N] = total_NK, total_NK
    rank_BKK[source_N[greedy_N], place_N[greedy_N], 0] = torch.inf
    number_BKK[source_N, place_N] = torch.arange(total_NK.numel(), device=source_N.device).view_as(total_NK)

    rank_BK, at_BK = rank_BKK.flatten(1).topk(beam)
    chosen_BK = (rank_BK > -torch.inf) & (torch.arange(beam, device=at_BK.device) < places_B[:, None])
    number_N = number_BKK.flatten(1).gather(1, at_BK)[chosen_BK]
    score_N = total_BKK.flatten(1).gather(1, at_BK)[chosen_BK]
    return number_N // total_NK.shape[1], token_NK.flatten()[number_N], score_N, rank_BK[chosen_BK] == torch.inf


class _Found:
    """The best ended hypothesis of each source."""

    def __init__(self, longest_B: Tensor) -> None:
        most = int(longest_B.max()) if len(longest_B) else 0
        self.ids_BT = longest_B.new_full((len(longest_B), most), PADDING)
        self.score_B = torch.full((len(longest_B),), -torch.inf, device=longest_B.device)
        self.length = 0

    def add(self, source_N: Tensor, ids_NT: Tensor, score_N: Tensor) -> None:
        """Keep those that are better than what is there."""
        best_B = self.score_B.scatter_reduce(0, source_N, score_N, "amax")
        better_N = (score_N == best_B[source_N]) & (score_N > self.score_B[source_N])
        source_N, ids_NT = source_N[better_N], ids_NT[better_N]
        self.score_B = best_B
        self.ids_BT[source_N] = PADDING
        self.ids_BT[source_N, : ids_NT.shape[1]] = ids_NT
        self.length = max(self.length, ids_NT.shape[1] if len(source_N) else 0)
