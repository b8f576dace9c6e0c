"""How large pictures are kept and how large a network sees them: rules over a survey of their sizes."""

from __future__ import annotations

import numpy as np

LADDER = (32, 48, 64, 96, 128, 160, 192, 256, 384, 512)
"""Short sides at which pictures are stored: few, so that another budget finds the pictures prepared already."""

STORE_BYTES = 8 * 10**9
"""Prepared pictures should fit the memory of a common machine beside training, or reading them is the bottleneck."""

NATIVE_UP_TO = 160
"""Pictures with a short side up to this are kept as they are: scaling would lose detail and save little."""

STORED_UP_TO = 160
"""Photos are seen at 128: a quarter more to crop from, and close enough that sampling does not alias."""

MAX_ASPECT = 3.0
"""Scaled pictures longer than this many short sides are cut: the network's view would not reach the ends."""

MAX_NATIVE_ASPECT = 16.0
"""The same for pictures kept as they are, where only a freak (a one-pixel line) should be cut."""


def stored_short_side(sizes_N2: np.ndarray, *, number: int, channels: int) -> int | None:
    """Choose the short side to store `number` pictures at; None keeps them as they are. sizes_N2: (height, width)."""
    median = float(np.median(sizes_N2.min(1)))
    if median <= NATIVE_UP_TO:
        return None
    fitting = [s for s in LADDER if s <= min(STORED_UP_TO, median) and number * s * s * 4 / 3 * channels <= STORE_BYTES]
    return fitting[-1] if fitting else LADDER[0]


def seen_size(sizes_N2: np.ndarray) -> tuple[int, int]:
    """Choose (height, width) of what the network sees."""
    same = bool((sizes_N2 == sizes_N2[0]).all())
    if same and sizes_N2[0].max() <= 64:
        return int(sizes_N2[0][0]), int(sizes_N2[0][1])  # small pictures carry their meaning in single pixels
    short = float(np.median(sizes_N2.min(1)))
    side = _seen_short_side(short)
    return _keep_aspect(sizes_N2[0], side) if same else (side, side)


def _seen_short_side(short: float) -> int:
    """128 for photos, else at most 64: costs grow with the square, and the plan may take more where time allows."""
    return 128 if short >= NATIVE_UP_TO else max(min(_even(short), 64), 8)


def _keep_aspect(size_2: np.ndarray, side: int) -> tuple[int, int]:
    """Pictures of one shape were framed on purpose (faces, scans): keep the frame. 112 x 92 -> 78 x 64."""
    height, width = (float(x) for x in size_2)
    scale = side / min(height, width)
    longest = side * MAX_ASPECT
    return _even(min(height * scale, longest)), _even(min(width * scale, longest))


def _even(length: float) -> int:
    """Even, so that the first halving in a network loses no edge."""
    return max(2 * round(length / 2), 2)
