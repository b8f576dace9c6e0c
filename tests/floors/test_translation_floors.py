"""Floors of translation: the source as it stands, and the translation of the most similar training source."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from engram.core.vocabulary import BEGIN, END, PADDING
from engram.floors.copy_source import CopySource
from engram.floors.nearest_source import NearestSource


def padded(texts: list[list[int]], *, end: bool) -> torch.Tensor:
    rows = [[BEGIN, *text, *([END] if end else [])] for text in texts]
    return torch.tensor([row + [PADDING] * (max(map(len, rows)) - len(row)) for row in rows])


def texts(ids: torch.Tensor) -> list[list[int]]:
    found = [[i for i in row if i != PADDING] for row in ids.tolist()]
    assert all(row[-1] == END for row in found), "expected each answer closed by END"
    return [row[:-1] for row in found]


@pytest.fixture(scope="module")
def batch() -> SimpleNamespace:
    random = torch.Generator().manual_seed(0)
    sources = [torch.randint(10, 300, (5 + n % 7,), generator=random).tolist() for n in range(200)]
    targets = [[i + 1000 for i in reversed(source)] for source in sources]
    return SimpleNamespace(
        source=padded(sources, end=False), target=padded(targets, end=True), sources=sources, targets=targets
    )


def fitted(floor, batch):
    halves = [slice(0, 120), slice(120, 200)]
    return floor.fit(
        lambda *roles: [SimpleNamespace(source=batch.source[rows], target=batch.target[rows]) for rows in halves],
        None, seconds=10,
    )  # fmt: skip


def test_the_source_is_copied(batch):
    module = fitted(CopySource(), batch)
    assert texts(module.write(batch.source, beam=4)[0]) == batch.sources


def test_a_known_source_gets_its_own_translation_and_a_similar_one_too(batch):
    module = fitted(NearestSource(), batch)
    ids, score = module.write(batch.source, beam=4)
    assert texts(ids) == batch.targets
    assert score == pytest.approx(torch.ones(200), abs=1e-4)
    changed = [[*source[:-1], 7] for source in batch.sources]
    assert texts(module.write(padded(changed, end=False))[0]) == batch.targets


def test_what_was_never_seen_and_what_is_empty_get_an_answer(batch):
    module = fitted(NearestSource(), batch)
    ids, score = module.write(padded([[900, 901], []], end=False))
    assert len(texts(ids)) == 2 and score.tolist() == [0, 0]


def test_it_is_saved_and_loaded_whole(batch):
    module = fitted(NearestSource(), batch)
    again = NearestSource().build(None)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again.write(batch.source)[0], module.write(batch.source)[0])
