"""Which texts are nearly the same: MinHash over shingles to find candidates, their real likeness to confirm them.

MinHash: Broder 1997; in bands: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
Shapes: B texts, P permutations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engram.core.shingles import shingles, split_texts

LIKE = 0.75
"""Jaccard similarity of the shingles of near copies."""

BANDS, EACH = 16, 5
"""Texts alike by 0.75 share a band with 99 %, those alike by 0.4 with 15 %."""

MOST = 1024
"""Of a long text the least hashes stand for all."""

_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(1, 2**63, BANDS * EACH, dtype=np.uint64) | np.uint64(1)
_JOIN = _RANDOM.integers(1, 2**63, EACH, dtype=np.uint64) | np.uint64(1)


def signatures(texts: Sequence[np.ndarray]) -> np.ndarray:
    """Return int64 (B, BANDS): near copies share one number at least; -1 for a text without letters."""
    hashes, numbers = shingles(texts)
    if (numbers > MOST).any():
        parts = [np.partition(part, MOST)[:MOST] if len(part) > MOST else part for part in split_texts(hashes, numbers)]
        hashes, numbers = np.concatenate(parts), np.array([len(part) for part in parts])
    found = np.full((len(texts), BANDS), -1, np.int64)
    some = np.flatnonzero(numbers)
    if not len(some):
        return found
    begin = (np.cumsum(numbers) - numbers)[some]
    for band in range(BANDS):
        joined = np.zeros(len(some), np.uint64)
        for place in range(EACH):
            least = np.minimum.reduceat(hashes * _FACTORS[band * EACH + place], begin)
            joined += (least >> np.uint64(17)) * _JOIN[place]
        found[some, band] = (joined >> np.uint64(1)).astype(np.int64)
    return found


def alike(texts: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Jaccard similarity of the shingles of each pair, float (B,)."""
    ones, numbers = shingles([*texts, *others])
    sets = [np.unique(part) for part in split_texts(ones, numbers)]
    return np.array([_jaccard(one, other) for one, other in zip(sets[: len(texts)], sets[len(texts) :], strict=True)])


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    few, many = sorted((len(one), len(other)))
    if many == 0 or few < LIKE * many:  # no more than few / many, whatever they share
        return few / max(1, many) if few == many else 0.0
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (few + many - shared)
