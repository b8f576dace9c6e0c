"""In which order examples are seen: a pure function of (seed, epoch), so that nothing about it needs saving."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SHARDS = 64
"""Pieces of neighbouring rows that a window is put together from: enough that a window holds rows from everywhere, few
enough that each is read nearly in sequence."""


MOST_TOKENS = 16384
"""In a piece of a batch whose examples share rows."""

LEAST_PIECE = 4096
"""Tokens from which a piece of a batch is worth being taken by itself: fewer leave the processor idle."""

MOST_PADDING = 1.1
"""A piece is closed where it would become larger than its tokens by more than this factor."""


@lru_cache(maxsize=3)
def permutation(count: int, seed: int, epoch: int, window: int = 0) -> np.ndarray:
    """Return the order of `count` examples in one epoch.

    window: how many rows are shuffled together; 0 for all. Where there are more, shards of neighbouring rows are
    permuted, then the rows of `SHARDS` shards at a time, so that what memory holds is used up before more is read.
    """
    random = np.random.default_rng([seed, epoch])
    if not window or count <= window:
        return random.permutation(count)
    shard = max(1, window // SHARDS)
    starts = random.permutation(np.arange(0, count, shard))
    rows = np.concatenate([np.arange(start, min(start + shard, count)) for start in starts])
    for start in range(0, count, window):
        random.shuffle(rows[start : start + window])
    return rows


def positions(step: int, *, batch_size: int, count: int, seed: int, window: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return which examples (0 to count - 1) step number `step` sees, and each one's epoch.

    Epochs follow one another without a gap: a batch may hold the end of one and the start of the next.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // count
    chosen = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        chosen[here] = permutation(count, seed, int(epoch), window)[places[here] % count]
    return chosen, epochs


def seed_within(step: int, place: int, *, seed: int) -> int:
    """Return the seed of all that is random while a micro-batch is learned from: dropout, noise.

    place: of its first example within the step's batch, which says the micro-batch and the process that takes it,
    and is the same however many processes share the step.
    """
    return int(np.random.SeedSequence([seed, step, place]).generate_state(1, np.uint64)[0])


def uniform(rows: np.ndarray, epochs: np.ndarray | int, *, seed: int, stream: int) -> np.ndarray:
    """Return random numbers in [0, 1), one per row, that depend on (seed, epoch, row, stream) alone.

    SplitMix64 (Steele et al. 2014) over a mix of the four, so that a row's luck is the same in every batch.
    """
    with np.errstate(over="ignore"):
        x = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x + np.asarray(epochs).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        x = x + np.uint64((seed * 0x8CB92BA72F3D8DD7 + stream * 0xA0761D6478BD642F) % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64


def in_turn(lengths: np.ndarray, *, most: int) -> list[np.ndarray]:
    """Cut examples of different lengths that share rows into about equal pieces; returns their places."""
    pieces = max(-(-len(lengths) // most), -(-int(lengths.sum()) // MOST_TOKENS))
    return np.array_split(np.arange(len(lengths)), min(pieces, len(lengths)))


def by_length(lengths: np.ndarray, *, most: int) -> list[np.ndarray]:
    """Cut examples of different lengths into pieces of similar ones, at most `most` each; returns their places.

    A piece is padded to its longest, so little is wasted. The longest come first, which shows at once whether memory
    suffices.
    """
    order = np.argsort(-lengths, kind="stable")
    pieces, start, tokens = [], 0, 0
    for place, length in enumerate(lengths[order]):
        padded = int(lengths[order[start]]) * (place - start)  # what stands in the piece so far
        full = padded >= LEAST_PIECE and padded + lengths[order[start]] > MOST_PADDING * (tokens + length)
        if place - start == most or full:
            pieces.append(order[start:place])
            start, tokens = place, 0
        tokens += int(length)
    return [*pieces, order[start:]]
