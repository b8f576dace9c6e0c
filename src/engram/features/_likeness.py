"""When are two pictures copies of one: a signature to find them by, and a close look at the pixels.

The signature is the lowest frequencies of the picture (its cosine transform), taken on the picture's own grid, so
that a copy of another size has nearly the same one. Mirroring turns the sign of every second column.

Shapes: B pictures, h x w pixels each, K coefficients a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

COEFFICIENTS = 8
"""On 60,000 pictures of clothing, 8 a side tell copies from look-alikes best (6, 10 and 12 do worse; LOG.md)."""

WAYS = 2
"""A copy may be as it was, or mirrored."""

FLAT = 2.0
"""Grey levels. A picture that varies less is blank, and no copy of any other that is."""

NEAR = 0.07
"""How far copies may differ in their lowest frequencies, as a share of the picture's own variation."""

DETAIL_SIDE = 32
DETAIL = 0.7
"""How far they may differ in any one place, in shares of the picture's own deviation, looked at in so many places a
side: enough to see another number on the same form, too coarse to see what JPEG leaves out."""


def signatures(pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return float32 (B, 2, K * K - 1) of unit length: each picture as it is and mirrored; NaN for blank ones."""
    low_BKK = low_frequencies(pixels)
    mirrored_BKK = low_BKK * _mirror()
    both = np.stack([low_BKK, mirrored_BKK], 1).reshape(len(low_BKK), WAYS, -1)[:, :, 1:]  # without the brightness
    length = np.linalg.norm(both, axis=2, keepdims=True)
    return both / np.where(length < FLAT, np.nan, length)


def copies(pixels: Sequence[np.ndarray], others: Sequence[np.ndarray], ways: np.ndarray) -> np.ndarray:
    """Tell of pairs of pictures with similar signatures (bool (B,)) whether they are one picture indeed.

    ways: 0 where the second of a pair is as the first, 1 where it is mirrored.
    """
    if not len(ways):
        return np.zeros(0, bool)
    one_BKK, other_BKK = low_frequencies(pixels), low_frequencies(others)
    other_BKK[ways == 1] *= _mirror()
    apart = np.linalg.norm((one_BKK - other_BKK).reshape(len(ways), -1), axis=1)
    length = np.linalg.norm(one_BKK.reshape(len(ways), -1)[:, 1:], axis=1)
    near = apart <= NEAR * np.maximum(length, FLAT)
    for at in np.flatnonzero(near).tolist():
        near[at] = _same_detail(pixels[at], others[at][:, ::-1] if ways[at] else others[at])
    return near


def low_frequencies(pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return float32 (B, K, K): cosine coefficients, in grey levels, the brightness first."""
    if isinstance(pixels, np.ndarray):
        return _waves(pixels.shape[1]) @ _grey(pixels) @ _waves(pixels.shape[2]).T
    return np.stack([low_frequencies(picture[None])[0] for picture in pixels])


def _grey(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(-1, dtype=np.float32)


def _mirror() -> np.ndarray:
    return (-1.0) ** np.arange(COEFFICIENTS, dtype=np.float32)


@lru_cache(maxsize=1024)
def _waves(length: int) -> np.ndarray:
    """The first K cosines (K, length), scaled so that squares of coefficients add up to the variance."""
    at = (np.arange(length, dtype=np.float64) + 0.5) * np.pi / length
    waves = np.cos(np.arange(COEFFICIENTS)[:, None] * at) / length
    waves[1:] *= np.sqrt(2)
    return waves.astype(np.float32)


def _same_detail(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures agree in every place, looked at as coarsely as the smaller of them allows."""
    smaller = np.minimum(one.shape[:2], other.shape[:2])
    height, width = np.maximum(np.minimum(smaller // 2, DETAIL_SIDE), 1).tolist()
    first, second = (_reduced(_grey(picture), height, width) for picture in (one, other))
    deviation = max(float(first.std()), FLAT)
    return bool(np.abs(first - second).max() <= DETAIL * deviation)


def _reduced(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    return _areas(grey.shape[0], height) @ grey @ _areas(grey.shape[1], width).T


@lru_cache(maxsize=1024)
def _areas(length: int, places: int) -> np.ndarray:
    """Weights (places, length) that average over equal stretches."""
    edges = np.linspace(0, length, places + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = np.clip(overlap, 0, None)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)
