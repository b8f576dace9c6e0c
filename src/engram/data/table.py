"""A table of lazy rows: what every source turns into, whatever it was on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = ("path", "bytes", "text", "number", "array", "names", "turns", "record", "history", "series")
"""path: str or Path of a file · bytes: an encoded file · text: str · number: int, float, bool ·
array: numpy array, tensor or PIL picture · names: list of str (several labels of one example) ·
turns: list of (role, text), a conversation · record: a row of a table, from column to value (`Rows`) ·
history: a user's interactions (`engram.data.histories`) · series: a history of numbers (`engram.features.series`)."""


class Lazy(Sequence[Any]):
    """Values that are opened one by one when they are asked for, such as the texts of many files or of a huge one.

    root: the folder that names of rows start from.
    """

    root: str

    def where(self, row: int) -> str:
        """Name a value by its file, relative to the root."""
        raise AssertionError("lazy values must say this")

    def take(self, rows: np.ndarray) -> Lazy:
        """Return the values of some rows, as lazily."""
        raise AssertionError("lazy values must say this")


@dataclass
class Column:
    """One column: its name, raw values (opened only when needed) and what kind of thing they are.

    fingerprint: changes when the values do, and keys the prepared store. Of files it covers paths relative
    to the source, sizes and modification times; of anything else the content. "" where nobody has said it.
    named: of conversations, whether their speakers are; where not, they are said to speak by turns.
    """

    name: str
    values: Sequence[Any]
    kind: str
    fingerprint: str = ""
    named: bool = True

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lazy(self) -> bool:
        """Whether values are opened when asked for: none is missing, and looking at all of them takes its time."""
        return isinstance(self.values, Lazy)

    def where(self, row: int) -> str:
        """Name a value so that the user finds it: its path, or column and row, as text that any encoding holds."""
        if isinstance(self.values, Lazy):
            place = self.values.where(row)
        else:
            place = str(self.values[row]) if self.kind == "path" else f"{self.name}[{row}]"
        return place.encode("utf-8", "backslashreplace").decode()


@dataclass
class Table:
    """Rows of lazy values.

    origin: what the user named, for messages and run names. fingerprint: changes when the data does.
    split: "train", "val", "test" or "" (undecided) per row; None where the source gives no split.
    group: rows of one group (a patient, a scene) never stand on two sides of a split.
    position: where in a running text (a book, a log) each row begins, from 0 to below 1, its pieces in order one after
    the other; NaN for rows that stand alone; None where all do.
    targets: the columns that the user names as what is to be predicted.
    notes: what was inferred while reading, with reasons, one sentence each.
    findings: what was wrong while reading (an empty class folder, a row without its file).
    """

    columns: dict[str, Column]
    origin: str
    fingerprint: str
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)
    position: np.ndarray | None = None
    targets: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def continues(self) -> np.ndarray | None:
        """Whether each row goes on where the one before it ends (bool (N,)); None where no row does."""
        if self.position is None:
            return None
        return np.concatenate([[False], self.position[1:] > self.position[:-1]])  # False beside NaN
