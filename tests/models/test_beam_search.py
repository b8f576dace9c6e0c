"""Beam search over made-up probabilities, against what trying every text gives.

Shapes: B sources, N hypotheses, V ids.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from engram.core.vocabulary import BEGIN, END, PADDING
from engram.models._beam_search import NEVER, beam_search

V = 7
LONGEST = 4


class Chain:
    """Logits of the next id that depend on the source and the last two ids: a network small enough to try all texts."""

    def __init__(self, sources: int, *, seed: int = 0, sharpness: float = 2.0) -> None:
        random = torch.Generator().manual_seed(seed)
        self.table = sharpness * torch.randn(sources, V, V, V, generator=random)
        self.source_N = torch.arange(sources)
        self.before_N = torch.full((sources,), BEGIN)
        self.widest = 0

    def __call__(self, token_N: Tensor) -> Tensor:
        self.widest = max(self.widest, len(token_N))
        logits = self.table[self.source_N, self.before_N, token_N]
        self.before_N = token_N
        return logits

    def take(self, hypothesis_N: Tensor) -> None:
        self.source_N, self.before_N = self.source_N[hypothesis_N], self.before_N[hypothesis_N]

    def score(self, source: int, ids: tuple[int, ...], *, length_penalty: float) -> float:
        """The score of a text, computed from the table alone."""
        seen = [BEGIN, BEGIN, *ids]
        steps = zip(seen, seen[1:], seen[2:], strict=False)
        total = sum(self.table[source, a, b].log_softmax(-1)[c].item() for a, b, c in steps)
        return total / len(ids) ** length_penalty

    def all_texts(self) -> list[tuple[int, ...]]:
        letters = [i for i in range(V) if i not in (*NEVER, END)]
        return [(*some, END) for n in range(LONGEST) for some in itertools.product(letters, repeat=n)]


def found(chain: Chain, *, beam: int, length_penalty: float = 1.0, longest: int = LONGEST):
    sources = len(chain.source_N)
    ids, score = beam_search(chain, longest_B=torch.full((sources,), longest), beam=beam, length_penalty=length_penalty)
    return [tuple(i for i in row.tolist() if i != PADDING) for row in ids], score.tolist()


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_beam_that_holds_every_text_finds_the_best(length_penalty):
    ids, score = found(Chain(6), beam=200, length_penalty=length_penalty)
    chain = Chain(6)
    for source in range(6):
        every = {text: chain.score(source, text, length_penalty=length_penalty) for text in chain.all_texts()}
        assert score[source] == pytest.approx(max(every.values()), abs=1e-4)
        assert every[ids[source]] == pytest.approx(score[source], abs=1e-4)


def test_one_hypothesis_takes_the_likeliest_id_each_time():
    ids, score = found(Chain(20), beam=1)
    chain = Chain(20)
    for source in range(20):
        text = [BEGIN, BEGIN]
        while text[-1] != END:
            logp = chain.table[source, text[-2], text[-1]].log_softmax(-1)
            logp[list(NEVER)] = -torch.inf
            text.append(END if len(text) == LONGEST + 1 else int(logp.argmax()))
        assert ids[source] == tuple(text[2:])
        assert score[source] == pytest.approx(chain.score(source, ids[source], length_penalty=1.0), abs=1e-4)


@pytest.mark.parametrize("beam", [2, 3, 5])
def test_no_score_is_below_that_of_a_greedy_search(beam):
    for seed in range(10):
        greedy = found(Chain(30, seed=seed), beam=1, longest=9)[1]
        wide = found(Chain(30, seed=seed), beam=beam, longest=9)[1]
        assert all(ours >= theirs - 1e-5 for ours, theirs in zip(wide, greedy, strict=True))


def test_a_source_is_answered_alike_alone_and_among_others_and_never_in_too_many_rows():
    chain = Chain(9)
    ids, _ = found(chain, beam=3)
    assert chain.widest <= 27
    for source in range(9):
        alone = Chain(9)
        alone.table, alone.source_N, alone.before_N = (
            alone.table[source : source + 1],
            alone.source_N[:1],
            alone.before_N[:1],
        )
        assert found(alone, beam=3)[0] == [ids[source]]


def test_no_text_is_longer_than_allowed():
    longest = torch.tensor([1, 2, 3, 8])
    ids, score = beam_search(Chain(4), longest_B=longest, beam=4)
    lengths = (ids != PADDING).sum(1)
    assert (lengths <= longest).all() and ids.shape[1] == lengths.max()
    assert (ids.gather(1, lengths[:, None] - 1) == END).all() and score.isfinite().all()


def test_nothing_to_answer():
    ids, score = beam_search(Chain(0), longest_B=torch.zeros(0, dtype=torch.long), beam=4)
    assert ids.shape == (0, 0) and score.shape == (0,)
