"""The contract of a field: one column of a record, from a cell to numbers or a code.

`read` takes a whole column (a polars series) and `read_one` one cell; both give the same and depend on no fit.
`encode` applies the fitted state. A field gives some numbers, NaN where they are missing, or one code.

Shapes: N rows, P places (numbers that a field gives; one for a code).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from engram.core.errors import RunError
from engram.core.parts import Course

if TYPE_CHECKING:
    import polars

MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null", "nil"})
"""What stands for a missing cell, in small letters."""


def is_nothing(value: Any) -> bool:
    """Whether a value is none: None, NaN, and what pandas has in their place (NA, NaT)."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64) and bool(value != value)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing, or a text that says so."""
    return is_nothing(value) or (isinstance(value, str) and value.strip().lower() in MISSING)


class Field:
    """One column of a record. reason: why it is taken as what it is. optional: whether a row may lack it."""

    kind: ClassVar[str] = ""
    is_code: ClassVar[bool] = False
    """Whether it gives a code (0 for missing or unknown) rather than numbers."""

    is_ragged: ClassVar[bool] = False
    """Whether cells are stored as several numbers, not as one; they are fitted and encoded as (all numbers, int64, how
    many each row has)."""

    def __init__(self, name: str, *, reason: str = "", optional: bool = False) -> None:
        self.name, self.reason, self.optional = name, reason, optional

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, and the kind, as JSON."""
        return {"kind": self.kind, "name": self.name, "reason": self.reason, "optional": self.optional}

    def read(self, series: polars.Series) -> Any:
        """Return float64 (N,), NaN for missing; of a ragged field (all values, how many each row has)."""
        raise AssertionError("a field must say this")

    def read_one(self, value: Any) -> Any:
        """Return a cell as `read` returns a column's: a float, or an array. DataError for what is no such value."""
        raise AssertionError("a field must say this")

    def fit(self, stored: Any) -> None:
        """Learn from training rows, as they were read."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each place is called."""
        return (self.name,)

    @property
    def cardinality(self) -> int:
        """The number of codes, 0 among them; 0 for numbers."""
        return 0

    def encode(self, stored: Any) -> np.ndarray:
        """Return float32 (N, P) of what was read."""
        raise AssertionError("a field must say this")

    def decode(self, encoded_NP: np.ndarray) -> list[Any]:
        """Return cells in the user's terms; None where there is no telling."""
        raise AssertionError("a field must say this")

    def course(self) -> Course | None:
        """Values along the column, once it is fitted, by which it can be asked what they do to answers."""
        return None

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The fitted state as (JSON, arrays)."""
        return {}, {}

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave. RunError if it does not fit."""

    def schema(self) -> dict[str, Any]:
        """A cell as JSON (JSON Schema)."""
        raise AssertionError("a field must say this")

    def example(self) -> Any:
        """Such a cell."""
        raise AssertionError("a field must say this")

    def summary(self, stored: Any) -> str:
        """What was read, in a few words."""
        return ""

    def missing(self, stored: Any) -> np.ndarray:
        """Where there is no cell, bool (N,)."""
        return np.isnan(stored)


def saved(arrays: Mapping[str, np.ndarray], name: str, *, axes: int) -> np.ndarray:
    """Read a saved array of finite numbers; RunError if it is damaged."""
    array = arrays.get(name)
    if array is None or array.ndim != axes or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise RunError(f"the saved {name} of a column are damaged: expected finite numbers on {axes} axes")
    return array
