"""How a finding names rows and labels, so that the user finds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram.data.stored import Stored
    from engram.data.table import Column

SHOWN = 5
"""Paths and names a finding shows; how many more there are is said."""


BEGINNING = 60
"""Characters of a text that are shown beside its place."""


def named(column: Column, rows: Iterable[int]) -> list[str]:
    """Name the first few rows; of texts their beginning is shown too."""
    return [_named(column, int(row)) for row, _ in zip(rows, range(SHOWN), strict=False)]


def _named(column: Column, row: int) -> str:
    if column.kind != "text":
        return column.where(row)
    text = " ".join(str(column.values[row])[: 4 * BEGINNING].split())
    return f"{column.where(row)} {text[:BEGINNING] + '…' * (len(text) > BEGINNING)!r}"


def label_values(labels: Stored | None) -> Any:
    """Labels of every row (a name, or a list of names); None where there are none."""
    return next(iter(labels.arrays.values()), None) if labels is not None else None


def joined(label: Any) -> str:
    """A label as text: its name, or all its names."""
    return label if isinstance(label, str) else "|".join(sorted(map(str, label)))
