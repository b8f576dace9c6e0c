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

BANDS, EACH = 24, 5
"""Of texts alike by 0.75, 98.6 % share two bands or more, of those alike by 0.4 two in a hundred."""

MOST = 1024
"""Of a long text the least hashes stand for all (Broder's sketch): its likeness is then known to 0.015."""

LONG = 4000
"""Letters from which a text is compared by longer runs: of short ones, long texts of few words share most by chance."""

REACH = (0, 6, 12, 18)
"""A longer run is four short ones, each overlapping the next by one letter."""

_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(1, 2**63, BANDS * EACH, dtype=np.uint64) | np.uint64(1)
_JOIN = _RANDOM.integers(1, 2**63, EACH, dtype=np.uint64) | np.uint64(1)


def signatures(texts: Sequence[np.ndarray]) -> np.ndarray:
    """Return int64 (B, BANDS): near copies share two numbers or more; -1 for a text without letters."""
    parts = [_least(part) for part in _runs(texts)]
    hashes, numbers = np.concatenate([np.zeros(0, np.uint64), *parts]), np.array([len(part) for part in parts])
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


def sketches(texts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return of each text its different shingles in order, the least of them where there are many."""
    return [np.unique(part)[:MOST] for part in _runs(texts)]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Jaccard similarity of two texts' shingles, by their sketches."""
    few, many = sorted((len(one), len(other)))
    if few < LIKE * many or not many:  # no more is few / many, whatever they share
        return 0.0
    together = np.union1d(one, other)[:MOST]
    both = np.intersect1d(one, other, assume_unique=True)
    return np.searchsorted(both, together[-1], side="right") / len(together)


def _runs(texts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the hashes of each text's runs of letters."""
    return [part if len(part) < LONG else _longer(part) for part in split_texts(*shingles(texts))]


def _longer(hashes: np.ndarray) -> np.ndarray:
    number = len(hashes) - REACH[-1]
    joined = np.zeros(number, np.uint64)
    for at, factor in zip(REACH, _JOIN, strict=False):
        joined += hashes[at : at + number] * factor
    return joined


def _least(hashes: np.ndarray) -> np.ndarray:
    return np.partition(hashes, MOST)[:MOST] if len(hashes) > MOST else hashes
