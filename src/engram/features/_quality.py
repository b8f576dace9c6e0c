"""Pictures that stand out from the others of their data set: blank, blurred, far darker or brighter.

What is unusual is judged by the data itself: in a set of night scenes no picture is too dark.

Shapes: B pictures, h x w pixels each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engram.core import machine
from engram.core.evidence import Finding, Fix

BLANK = 1.5
"""Grey levels of deviation. A picture that varies less shows nothing, whatever the others are like."""

FAR = 6.0
"""A picture stands out so many deviations (robust ones, of its own side) from the middle of the data."""

MOST = 0.02
"""Where more than this share stand out, that is how the data are, and no mistake of single pictures."""

CHUNK = 256
LOOK = "look at them, and leave out what a person would not recognise"


def check(stored: Any, rows: np.ndarray) -> Iterator[Finding]:
    """Name the pictures that stand out, with a fix for each."""
    if not len(rows):
        return
    brightness, deviation, sharpness = of_rows(stored, rows)
    blank = deviation < BLANK
    yield from _found("blank", "blank (one colour, as good as)", rows[blank], "drop", "leave them out")
    rows, brightness, deviation, sharpness = rows[~blank], brightness[~blank], deviation[~blank], sharpness[~blank]
    blurred = _below(np.log(sharpness + 1e-3))
    yield from _found("blurred", "far more blurred than the others", rows[blurred], "keep", LOOK)
    extreme = _below(brightness) | _below(-brightness) | _below(np.log(deviation))
    yield from _found("extreme", "far darker, brighter or fainter than the others", rows[extreme], "keep", LOOK)


def of_rows(stored: Any, rows: np.ndarray) -> np.ndarray:
    """Return (3, B): brightness and its deviation in grey levels, and sharpness, a share of the deviation."""
    starts = range(0, len(rows), CHUNK)
    parts = machine.each(lambda start: _measured(stored.gather_one("pixels", rows[start : start + CHUNK])), starts)
    return np.concatenate(parts, axis=1) if parts else np.zeros((3, 0))


def _found(kind: str, what: str, rows: np.ndarray, action: str, fix: str) -> Iterator[Finding]:
    if len(rows):
        fixes = tuple(Fix(int(row), action, what) for row in rows)
        yield Finding("warning", kind, f"{len(rows):,} pictures are {what}", fix=fix, fixes=fixes)


def _below(values: np.ndarray) -> np.ndarray:
    """Which values lie far below all, by the median and the spread below it."""
    if not len(values):
        return np.zeros(0, bool)
    lack = np.median(values) - values
    spread = 1.4826 * np.median(lack[lack > 0]) if (lack > 0).any() else np.inf
    far = lack > FAR * spread
    return far if far.mean() <= MOST else np.zeros(len(values), bool)


def _measured(pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The same of pictures; those of one size all together."""
    if not isinstance(pixels, np.ndarray):
        return np.concatenate([_measured(picture[None]) for picture in pixels], axis=1)
    grey = pixels.mean(-1, dtype=np.float32)
    deviation = grey.std((1, 2))
    edges = [np.abs(np.diff(grey, n=2, axis=axis)).mean((1, 2)) if grey.shape[axis] > 2 else 0 for axis in (1, 2)]
    return np.stack([grey.mean((1, 2)), deviation, (edges[0] + edges[1]) / np.maximum(deviation, BLANK)])
