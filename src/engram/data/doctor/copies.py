"""Which rows are copies of which: equal content, and content that was changed a little on its way.

A feature says what a copy is (`Feature.signatures`, `Feature.same`). What was found is kept beside the prepared
values, because it depends on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engram.core import events
from engram.data.doctor.banded import sharing_pairs
from engram.data.doctor.near import close_pairs
from engram.data.stored import equal_digests

if TYPE_CHECKING:
    from engram.data.stored import Stored
    from engram.features.feature import Feature

FORMAT = 1
CHUNK, PAIRS = 256, 256
"""Values, and pairs of them, looked at together: memory stays flat."""


@dataclass(frozen=True)
class Copies:
    """leader: int64 (N,), of each row the first row that it is a copy of, itself where it is none. exact: bool (N,),
    equal in content to a row before it."""

    leader: np.ndarray
    exact: np.ndarray

    @property
    def copied(self) -> np.ndarray:
        """Rows that are copies of an earlier one."""
        return self.leader != np.arange(len(self.leader))

    def of(self, rows: np.ndarray) -> Copies:
        """The same among some rows alone: of each group the first of these leads."""
        within = np.zeros(len(self.leader), bool)
        within[rows] = True
        first = np.full(len(self.leader), len(self.leader))
        np.minimum.at(first, self.leader[rows], rows)
        leader = np.where(within, first[self.leader], np.arange(len(self.leader)))
        return Copies(leader, self.exact & (leader != np.arange(len(leader))))

    def groups(self) -> Iterator[np.ndarray]:
        """The rows of each group of two or more, in order."""
        rows = np.flatnonzero(np.bincount(self.leader, minlength=len(self.leader))[self.leader] > 1)
        order = rows[np.argsort(self.leader[rows], kind="stable")]
        bounds = np.flatnonzero(np.diff(self.leader[order])) + 1
        yield from np.split(order, bounds) if len(order) else ()


def find(feature: Feature, stored: Stored, *, near: bool = True) -> Copies:
    """Find exact copies among readable rows, and near ones where `near` and the feature knows what those are."""
    first = _first_equal(stored)
    exact = first != np.arange(len(first))
    return Copies(first if not near else _with_near(feature, stored, first), exact)


def _first_equal(stored: Stored) -> np.ndarray:
    """Of each row the first with the same digest; rows that could not be read stand alone."""
    leader, rows = np.arange(len(stored)), np.flatnonzero(stored.ok)
    first, group = equal_digests(stored.digest[rows])
    leader[rows] = rows[first][group]
    return leader


def _with_near(feature: Feature, stored: Stored, first: np.ndarray) -> np.ndarray:
    kept = Path(stored.info["folder"]) / f"copies-{FORMAT}.npy" if "folder" in stored.info else None
    if kept is not None and (known := _known(kept)) is not None and known.shape == first.shape:
        return known
    leader = _joined(first, _confirmed(feature, stored, np.unique(first[stored.ok])))
    if kept is not None:
        _keep(kept, leader)
    return leader


def _confirmed(feature: Feature, stored: Stored, rows: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of different rows that are near copies, the earlier first."""
    parts = []
    for start in range(0, len(rows), CHUNK):
        part = feature.signatures(stored, rows[start : start + CHUNK])
        if part is None:
            return np.zeros((0, 2), np.int64)
        parts.append(part)
        events.emit("progress", name="looking for copies", done=min(start + CHUNK, len(rows)), total=len(rows))
    if not parts:
        return np.zeros((0, 2), np.int64)
    signatures = np.concatenate(parts)
    found = close_pairs(signatures) if signatures.dtype.kind == "f" else sharing_pairs(signatures)
    one, other, ways = rows[found[:, 0]], rows[found[:, 1]], found[:, 2]
    chunks = [slice(start, start + PAIRS) for start in range(0, len(found), PAIRS)]
    same = [feature.same(stored, one[chunk], other[chunk], ways[chunk]) for chunk in chunks]
    sure = np.concatenate(same) if same else np.zeros(0, bool)
    return np.stack([one[sure], other[sure]], 1)


def _joined(first: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Let the first row of each pair lead the second, unless it follows another itself: stars, never chains."""
    leader = np.arange(len(first))
    for one, other in pairs[np.lexsort(pairs.T[::-1])].tolist():
        if leader[one] == one and leader[other] == other:
            leader[other] = one
    return leader[first]


def _known(path: Path) -> np.ndarray | None:
    """What was found before; None where there is nothing, or half of it."""
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError):
        return None


def _keep(path: Path, leader: np.ndarray) -> None:
    """Write what was found; where the folder cannot be written, the next run finds it again."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            np.save(file, leader)
        temporary.replace(path)
    except OSError as error:
        events.note(f"Copies are looked for again next time: {path.parent} cannot be written ({error.strerror}).")
