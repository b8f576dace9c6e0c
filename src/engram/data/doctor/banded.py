"""Find pairs of values that share a hash, without comparing each with every other.

Shapes: N values, D hashes of each.
"""

from __future__ import annotations

import numpy as np

WINDOW = 8
"""Values under one hash are compared with their first one and so many that follow."""


def sharing_pairs(hashes_ND: np.ndarray) -> np.ndarray:
    """Return int64 (P, 3), unique: a row, a later one that shares a hash with it at the same place, and 0.

    Hashes below 0 are shared by none.
    """
    found = [np.zeros((0, 2), np.int64)]
    for hashes in hashes_ND.T:
        rows = np.flatnonzero(hashes >= 0)
        rows = rows[np.argsort(hashes[rows], kind="stable")]
        key = hashes[rows]
        new = np.ones(len(rows), bool)
        new[1:] = key[1:] != key[:-1]
        first = rows[new][np.cumsum(new) - 1]
        found.append(np.stack([first[~new], rows[~new]], 1))
        for step in range(1, min(WINDOW, len(rows) - 1) + 1):
            at = np.flatnonzero(key[step:] == key[:-step])
            found.append(np.stack([rows[at], rows[at + step]], 1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return np.concatenate([pairs, np.zeros((len(pairs), 1), np.int64)], 1)
