"""Find pairs of values whose signatures lie close together, without comparing each with every other.

A perceptual hash: the signs of the signatures along some directions in which this data varies most, balanced so that
every bit halves the data. Rows with equal bits are compared with their neighbours in a finer order. Several such
tables find nearly every close pair, and each takes time and memory in proportion to the rows.

Shapes: N values, V ways of changing each, E = N * V entries, D numbers of a signature.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CLOSE = 0.09
"""Signatures (of unit length) this close are looked at in full."""

TABLES, WINDOW = 8, 8
LEADING = 16
"""Directions that hashes are made from. Later ones vary so little that a copy's noise would turn their signs."""


def close_pairs(signatures_NVD: np.ndarray) -> np.ndarray:
    """Return int64 (P, 3), unique: a row, another, and the way in which the second was changed.

    Signatures that hold NaN are near nothing.
    """
    num_ways = signatures_NVD.shape[1]
    rows = np.flatnonzero(np.isfinite(signatures_NVD).all((1, 2)))
    if len(rows) < 2:
        return np.zeros((0, 3), np.int64)
    turned_ED, leading = _turned(signatures_NVD[rows])
    found = [_pairs_of(order, key, turned_ED, num_ways) for order, key in _tables(turned_ED[:, :leading], num_ways)]
    pairs = np.unique(np.concatenate(found), axis=0)
    pairs[:, :2] = rows[pairs[:, :2]]
    return pairs


def _turned(signatures_NVD: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn signatures so that they vary most along the first axes (E, D); distances stay as they are."""
    plain = signatures_NVD[:, 0]
    centre = plain.mean(0)
    covariance = (plain - centre).T @ (plain - centre) / len(plain)
    spread, axes = np.linalg.eigh(covariance.astype(np.float64))
    turned = (signatures_NVD.reshape(-1, signatures_NVD.shape[2]) - centre) @ axes[:, ::-1].astype(np.float32)
    varied = int((spread > 1e-4 * spread[-1]).sum())
    return turned, max(1, min(LEADING, varied))


def _tables(leading_ED: np.ndarray, num_ways: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an order of the entries and their hashes in that order, for each table."""
    random = np.random.default_rng(0)
    plain = leading_ED[::num_ways]
    scaled_ED = leading_ED / np.maximum(plain.std(0), 1e-9)
    width = scaled_ED.shape[1]
    bits = min(width, max(1, int(np.log2(len(plain))) - 1))
    for _ in range(TABLES):
        rotation = np.linalg.qr(random.standard_normal((width, width)))[0].astype(np.float32)
        seen_ED = scaled_ED @ rotation
        above = seen_ED[:, :bits] > np.median(seen_ED[::num_ways, :bits], axis=0)
        key = above @ (1 << np.arange(bits, dtype=np.int64))
        order = np.lexsort((seen_ED[:, -1], key))
        yield order, key[order]


def _pairs_of(order: np.ndarray, key: np.ndarray, turned_ED: np.ndarray, num_ways: int) -> np.ndarray:
    """Compare each entry with the few that follow it under the same hash."""
    row, way = order // num_ways, order % num_ways
    leading, found = turned_ED[order, :LEADING], []
    for step in range(1, WINDOW + 1):
        worth = (key[step:] == key[:-step]) & (row[step:] != row[:-step]) & ((way[step:] == 0) | (way[:-step] == 0))
        at = np.flatnonzero(worth)
        at = at[np.square(leading[at] - leading[at + step]).sum(1) <= CLOSE**2]
        at = at[np.square(turned_ED[order[at]] - turned_ED[order[at + step]]).sum(1) <= CLOSE**2]
        ends = np.sort(np.stack([row[at], row[at + step]], 1), axis=1)
        found.append(np.concatenate([ends, (way[at] + way[at + step])[:, None]], 1))
    return np.concatenate(found)
