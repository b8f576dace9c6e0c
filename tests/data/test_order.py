"""The order of examples: every row once an epoch, a pure function of seed and epoch, near one another where asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from engram.data.order import LEAST_PIECE, MOST_TOKENS, SHARDS, by_length, in_turn, permutation, positions


@given(count=some.integers(1, 3000), window=some.integers(0, 1000), epoch=some.integers(0, 5))
def test_every_row_comes_once_an_epoch(count, window, epoch):
    order = permutation(count, 7, epoch, window)
    assert sorted(order.tolist()) == list(range(count))
    assert order is permutation(count, 7, epoch, window)


def test_rows_shuffled_together_come_from_few_places_all_over_the_data():
    window = 6400
    order = permutation(64_000, 0, 0, window)
    for start in range(0, len(order), window):
        part = order[start : start + window]
        shards = np.unique(part // (window // SHARDS))
        assert len(shards) <= SHARDS and np.ptp(part) > 32_000
        assert np.abs(np.diff(part)).mean() > 5_000  # and they are well mixed


def test_epochs_follow_one_another_without_a_gap():
    seen = [positions(step, batch_size=30, count=100, seed=3, window=20) for step in range(10)]
    rows, epochs = (np.concatenate(part) for part in zip(*seen, strict=True))
    for epoch in range(3):
        assert sorted(rows[epochs == epoch].tolist()) == list(range(100))


@given(some.lists(some.integers(1, 9000), min_size=1, max_size=50), some.integers(1, 64))
def test_pieces_of_examples_that_share_rows_hold_each_once_and_not_too_many(lengths, most):
    pieces = in_turn(np.array(lengths), most=most)
    assert np.concatenate(pieces).tolist() == list(range(len(lengths)))
    assert all(1 <= len(piece) <= most for piece in pieces)
    assert len(pieces) <= -(-len(lengths) // most) + sum(lengths) // MOST_TOKENS + 1


@given(some.lists(some.integers(1, 300), min_size=1, max_size=200), some.integers(1, 64))
def test_pieces_by_length_hold_every_example_once_and_little_padding(lengths, most):
    lengths = np.array(lengths)
    pieces = by_length(lengths, most=most)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(piece) <= most for piece in pieces)
    for piece in pieces:
        padded = len(piece) * lengths[piece].max()
        assert padded <= max(1.1 * lengths[piece].sum(), LEAST_PIECE + lengths[piece].max())
