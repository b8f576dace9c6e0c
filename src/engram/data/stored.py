"""Prepared values of one column, and how rows of them are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from engram.features.feature import Feature


@dataclass(frozen=True)
class Problem:
    """A value that cannot be read: its row, its path or name, and why."""

    row: int
    where: str
    reason: str


@dataclass
class Ragged:
    """Arrays of different shapes, one after the other in a flat one."""

    flat: np.ndarray
    offsets: np.ndarray
    shapes: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, row: int) -> np.ndarray:
        start, shape = int(self.offsets[row]), self.shapes[row]
        return self.flat[start : start + int(shape.prod())].reshape(shape)


@dataclass
class Stored:
    """All values of a column, prepared.

    arrays: name -> array whose first axis is the row, Ragged, or list. ok: which rows could be read.
    digest: uint8 (N, 16), equal for equal content. problems: the rows that could not be read. used: names of the
    arrays that are gathered; None for all.
    """

    arrays: dict[str, Any]
    ok: np.ndarray
    digest: np.ndarray
    problems: list[Problem] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    used: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ok)

    @property
    def nbytes(self) -> int:
        """Bytes of all values, on disk or in memory; lists, which hold labels, count nothing."""
        flat = [values.flat if isinstance(values, Ragged) else values for values in self.arrays.values()]
        return sum(values.nbytes for values in flat if isinstance(values, np.ndarray))

    def only(self, kept: np.ndarray) -> Stored:
        """The same values with the rows set aside where `kept` (bool (N,)) is False."""
        problems = [problem for problem in self.problems if kept[problem.row]]
        return replace(self, ok=self.ok & kept, problems=problems)

    def sizes(self, name: str, rows: np.ndarray) -> np.ndarray:
        """How long the first axis of each row's array is, int64 (B,)."""
        values = self.arrays[name]
        if isinstance(values, Ragged):
            return values.shapes[rows, 0].astype(np.int64)
        return np.array([len(values[row]) for row in rows.tolist()], np.int64)

    def refined(self, feature: Feature) -> Stored:
        """The same values with what a fitted feature makes of them once beside them."""
        made = feature.refined(self)
        whole = tuple(name for name, values in made.items() if isinstance(values, np.ndarray))
        more = {name: values if name in whole else ragged(*values) for name, values in made.items()}
        return replace(self, arrays={**self.arrays, **more}, used=whole or None)

    def gather(self, rows: np.ndarray | Sequence[int]) -> dict[str, Any]:
        """Return the values of some rows: arrays with the row as first axis, lists where shapes differ.

        Rows that are not ok must not be asked for.
        """
        rows = np.asarray(rows, dtype=np.int64)
        assert self.ok[rows].all(), "rows that could not be read were to be set aside"
        return {name: _take(self.arrays[name], rows) for name in self.used or self.arrays}

    def gather_one(self, name: str, rows: np.ndarray | Sequence[int]) -> Any:
        """Return one array of some rows, without touching the others."""
        return _take(self.arrays[name], np.asarray(rows, dtype=np.int64))


def ragged(flat: np.ndarray, sizes: np.ndarray) -> Ragged:
    """Arrays of one axis that stand one after the other, `sizes` values each."""
    return Ragged(flat, np.cumsum(sizes) - sizes, sizes[:, None])


def equal_digests(digest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row (G,) of each group of equal digests (uint8 (N, 16)), and the group (N,) of each row."""
    words = np.ascontiguousarray(digest).view(np.uint64)
    _, first, group = np.unique(words[:, 0], return_index=True, return_inverse=True)
    if (words[first[group]] == words).all():
        return first, group
    _, first, group = np.unique(words, axis=0, return_index=True, return_inverse=True)
    return first, group.reshape(-1)


def is_named(stored: Stored) -> bool:
    """Tell whether values are names out of a set, one or several a row, as labels are."""
    return bool({"name", "names"} & set(stored.arrays))


def _take(values: Any, rows: np.ndarray) -> Any:
    if isinstance(values, np.ndarray):
        return values[rows]
    taken = [values[row] for row in rows.tolist()]
    return _stacked(taken) if isinstance(values, Ragged) else taken


def _stacked(values: list[Any]) -> Any:
    """One array where all values are arrays of one shape, else the list."""
    if values and all(isinstance(v, np.ndarray) and v.shape == values[0].shape for v in values):
        return np.stack(values)
    return values


def collate(stored_values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put single results of `Feature.store` together as `Stored.gather` gives them."""
    names = stored_values[0] if stored_values else {}
    return {name: _stacked([value[name] for value in stored_values]) for name in names}
