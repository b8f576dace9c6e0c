"""Labels in doubt: those that answers from elsewhere contradict, and not those of hard classes."""

from __future__ import annotations

import numpy as np
import pytest

from engram.evaluate.doubts import doubtful, doubts


def answers(number: int, *, wrong: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of a model that is mostly right, labels of which some are wrong, and which those are."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, number)
    logits = random.normal(0, 1, (number, 4))
    logits[np.arange(number), truth] += 5
    spoiled = random.random(number) < wrong
    label = np.where(spoiled, (truth + random.integers(1, 4, number)) % 4, truth)
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), label, spoiled


@pytest.mark.parametrize("wrong", [0.05, 0.2])
def test_wrong_labels_are_found_and_mended(wrong: float) -> None:
    probability, label, spoiled = answers(4000, wrong=wrong)
    found = doubts(probability, label)
    assert spoiled[found.rows].mean() > 0.85 and spoiled[found.rows].sum() > 0.75 * spoiled.sum()
    assert spoiled[found.rows[found.sure]].mean() > 0.9
    assert (np.diff(found.score) <= 0).all() and (found.answer != label[found.rows]).all()


def test_right_labels_are_left_alone() -> None:
    probability, label, _ = answers(4000, wrong=0.0)
    assert len(doubts(probability, label).rows) < 0.02 * 4000


def test_a_class_that_is_always_hard_is_not_all_in_doubt() -> None:
    """The model is never sure of class 1: its own examples get .4, others less; that is usual, and no doubt."""
    probability = np.array([[0.9, 0.1]] * 50 + [[0.6, 0.4]] * 50)
    assert len(doubts(probability, np.repeat([0, 1], 50)).rows) == 0


def test_unknown_and_several_labels() -> None:
    probability, label, _ = answers(200, wrong=0.1)
    label[:20] = -1
    assert not set(range(20)) & set(doubts(probability, label).rows.tolist())
    several = np.array([[0.95, 0.05]] * 30 + [[0.05, 0.95]] * 30)
    given = (several > 0.5).astype(np.float32)
    given[7, 1] = 1
    assert doubtful(several, given).tolist() == [7]
    assert len(doubtful(several[:0], given[:0])) == 0
