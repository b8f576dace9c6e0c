"""What can be said of values by themselves: which cannot be read, what sizes they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engram.core.evidence import Finding

if TYPE_CHECKING:
    from engram.data.stored import Stored

UNREADABLE_LIMIT = 0.05
"""Above this share of unreadable values something is wrong with the data as a whole, and training stops."""


def unreadable(stored: Stored, role: str) -> Iterator[Finding]:
    """Values that cannot be read, with path and reason; they are set aside."""
    if not stored.problems:
        return
    number, total = len(stored.problems), len(stored)
    severe = number > UNREADABLE_LIMIT * total
    if severe:
        said = f"{number:,} of {total:,} values of {role!r} cannot be read; expected at most {UNREADABLE_LIMIT:.0%}"
    else:
        said = f"{number:,} of {total:,} values of {role!r} cannot be read and are set aside"
    where = tuple(f"{problem.where}: {problem.reason}" for problem in stored.problems)
    yield Finding("error" if severe else "warning", "unreadable", said, where, "Mend or remove them")


def sizes(stored: Stored) -> Iterator[Finding]:
    """The sizes of pictures, as they are in the user's files."""
    sizes_N2 = stored.arrays.get("size")
    if sizes_N2 is None or not stored.ok.any():
        return
    rows = np.flatnonzero(stored.ok)
    sizes_N2 = np.asarray(stored.gather_one("size", rows))
    different = np.unique(sizes_N2, axis=0)
    if len(different) == 1:
        message = f"all pictures are {different[0][1]} x {different[0][0]} pixels (width x height)"
    else:
        height, width = np.median(sizes_N2, axis=0)
        low, high = sizes_N2.min(0), sizes_N2.max(0)
        message = (
            f"{len(different):,} different sizes, from {low[1]} x {low[0]} to {high[1]} x {high[0]} pixels "
            f"(width x height), median {width:.0f} x {height:.0f}"
        )
    yield Finding("info", "sizes", message)
