"""Packed values: a column of a table as one array, and rows of several columns, without a Python object per cell.

Whoever asks for a value gets a plain one (`values[row]` is a number, a text, a truth value or None); what asks for all
of them at once (`series`, `distinct`, `missing`) is as fast as the array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars

    from engram.data.table import Column

CHUNK = 1 << 16
"""Values that are turned into Python objects at a time."""

MANY = 100_000
"""Of more values, if many are different, they are counted approximately."""


class Packed(Sequence[Any]):
    """Numbers, truth values or texts in a polars series; a missing one is null there, and None when asked for."""

    def __init__(self, series: polars.Series) -> None:
        self.series = series.fill_nan(None) if series.dtype.is_float() else series

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, row: Any) -> Any:
        return self.series[row].to_list() if isinstance(row, slice) else self.series[int(row)]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), CHUNK):
            yield from self.series.slice(start, CHUNK).to_list()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def take(self, rows: np.ndarray) -> Packed:
        """The values of some rows (indices, or bool (N,))."""
        return Packed(self.series.filter(rows) if rows.dtype == bool else self.series[rows])

    @property
    def is_text(self) -> bool:
        """Whether values are texts."""
        import polars

        return bool(self.series.dtype == polars.String)

    @property
    def missing(self) -> np.ndarray:
        """bool (N,): where there is no value."""
        return self.series.is_null().to_numpy()

    @cached_property
    def num_distinct(self) -> int:
        """How many different values there are, spaces around texts aside."""
        import polars

        present = self.series.drop_nulls()
        if self.is_text:
            present = present.str.strip_chars()
            present = present.filter(present != "")
        if len(present) > MANY and present.head(MANY).n_unique() > MANY / 10:
            # To about one in a hundred, in half the time.
            return int(present.to_frame().select(polars.all().approx_n_unique()).item())
        return int(present.n_unique())

    @cached_property
    def whole(self) -> bool:
        """Whether all values are whole numbers, truth values among them."""
        return not self.is_text and (
            not self.series.dtype.is_float() or bool((self.series == self.series.round()).drop_nulls().all())
        )

    def distinct(self) -> list[Any]:
        """The different values, in the order in which they first come."""
        return self.series.drop_nulls().unique(maintain_order=True).to_list()


def packed(values: Sequence[Any], kind: str) -> Sequence[Any]:
    """Pack values of kind "number" or "text"; others, and what no array can hold, stay as they are."""
    import polars

    if isinstance(values, Packed) or kind not in ("number", "text"):
        return values
    try:
        if kind == "text":
            return Packed(polars.Series([v if v is None else str(v) for v in values], dtype=polars.String))
        plain = values if isinstance(values, np.ndarray) else [v.item() if hasattr(v, "item") else v for v in values]
        series = polars.Series(plain, strict=False)
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
        return values  # whole numbers of more than 64 bits, texts with halves of letters
    fits = series.dtype.is_numeric() or series.dtype == polars.Boolean
    return Packed(series) if fits and series.null_count() == sum(v is None for v in plain) else values


def distinct(values: Sequence[Any], *, most: int | None = None) -> list[Any]:
    """The different values of a column, missing ones (None, NaN) left out, in the order in which they first come.

    most: look at so many values at most, evenly spread, where they are packed.
    """
    if isinstance(values, Packed):
        step = 1 if most is None else max(1, -(-len(values) // most))
        return (values if step == 1 else Packed(values.series.gather_every(step))).distinct()
    return list(dict.fromkeys(value for value in values if value is not None and value == value))


def coded(values: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    """The different values, missing ones among them, and the place (int64 (N,)) of each value there; what cannot be
    looked up (lists, arrays) has a place of its own."""
    import polars

    if isinstance(values, Packed):
        different = values.series.unique(maintain_order=True)
        known, number = different.drop_nulls(), len(different) - 1
        places = polars.int_range(len(known), dtype=polars.Int64, eager=True)
        code = values.series.replace_strict(known, places, default=None, return_dtype=polars.Int64)
        return [*known.to_list(), *([None] if known.len() <= number else [])], code.fill_null(number).to_numpy()
    found: dict[Any, int] = {}
    kept: list[Any] = []

    def place(value: Any) -> int:
        key = (type(value), value) if isinstance(value, str | int | float | np.generic | None) else (list, len(kept))
        if (known := found.setdefault(key, len(kept))) == len(kept):
            kept.append(value)
        return known

    return kept, np.fromiter((place(value) for value in values), np.int64, len(values))


class Rows(Sequence[Any]):
    """Rows of several columns: `rows[3]` is a dictionary of the fourth row's values by column."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        return {name: column.values[int(row)] for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for cells in zip(*(column.values for column in self.columns.values()), strict=True):
            yield dict(zip(self.columns, cells, strict=True))
