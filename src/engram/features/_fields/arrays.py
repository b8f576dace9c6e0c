"""Columns as arrays: what a field reads, and what is stored of it, of some rows or all."""

from __future__ import annotations

from typing import Any

import numpy as np


def series_of(column: Any, number: int) -> Any:
    """The values of a column as a polars series; nothing but missing ones where there is no such column."""
    import polars

    if column is None:
        return polars.Series([None] * number, dtype=polars.String)
    if hasattr(column.values, "series"):
        return column.values.series
    return polars.Series([list(v) if isinstance(v, list | tuple) else v for v in column.values], strict=False)


def flat(values: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of some rows, one after the other, and how long each is."""
    if not hasattr(values, "offsets"):
        chosen = [values[row] for row in rows.tolist()]
        sizes = np.array([len(one) for one in chosen], np.int64)
        return np.concatenate([np.zeros(0, np.int64), *chosen]).astype(np.int64), sizes
    sizes = values.shapes[rows, 0].astype(np.int64)
    before = np.cumsum(sizes) - sizes
    place = np.arange(sizes.sum()) + np.repeat(values.offsets[rows] - before, sizes)
    return values.flat[place].astype(np.int64), sizes
