"""Find pairs of values that share hashes, without comparing each with every other.

Shapes: N values, D hashes of each.
"""

from __future__ import annotations

import numpy as np

WINDOW = 8
"""Values under one hash are compared with their first one and so many that follow."""

LEAST = 2
"""Hashes in common that are worth a look."""

BEST = 3
"""Earlier rows a row is compared with in full, those it shares most hashes with: one of them leads it, or none does."""


def sharing_pairs(hashes_ND: np.ndarray) -> np.ndarray:
    """Return int64 (P, 3), unique: a row, a later one that shares `LEAST` hashes with it at the same places, and 0.

    Hashes below 0 are shared by none. Pairs grow in proportion to the rows, however much all of them have in common.
    """
    found = [np.zeros((0, 2), np.int64), *map(_sharing, hashes_ND.T)]
    pairs, shared = np.unique(np.concatenate(found), axis=0, return_counts=True)
    pairs, shared = pairs[shared >= LEAST], shared[shared >= LEAST]
    order = np.lexsort((pairs[:, 0], -shared, pairs[:, 1]))
    later = pairs[order, 1]
    rank = np.arange(len(order)) - np.searchsorted(later, later)
    pairs = pairs[np.sort(order[rank < BEST])]
    return np.concatenate([pairs, np.zeros((len(pairs), 1), np.int64)], 1)


def _sharing(hashes: np.ndarray) -> np.ndarray:
    """Pairs (P, 2), unique, of rows with the same hash that are worth comparing."""
    rows = np.flatnonzero(hashes >= 0)
    rows = rows[np.argsort(hashes[rows], kind="stable")]
    key = hashes[rows]
    new = np.ones(len(rows), bool)
    new[1:] = key[1:] != key[:-1]
    first = rows[new][np.cumsum(new) - 1]
    found = [np.stack([first[~new], rows[~new]], 1)]
    for step in range(1, min(WINDOW, len(rows) - 1) + 1):
        at = np.flatnonzero(key[step:] == key[:-step])
        found.append(np.stack([rows[at], rows[at + step]], 1))
    return np.unique(np.concatenate(found), axis=0)
