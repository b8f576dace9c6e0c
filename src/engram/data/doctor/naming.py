"""How a finding names rows and labels, so that the user finds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram.data.stored import Stored
    from engram.data.table import Column

SHOWN = 5
"""Paths and names a finding shows; how many more there are is said."""


def named(column: Column, rows: Iterable[int]) -> list[str]:
    """Name the first few rows."""
    return [column.where(int(row)) for row, _ in zip(rows, range(SHOWN), strict=False)]


def label_values(labels: Stored | None) -> Any:
    """Labels of every row (a name, or a list of names); None where there are none."""
    return next(iter(labels.arrays.values()), None) if labels is not None else None


def joined(label: Any) -> str:
    """A label as text: its name, or all its names."""
    return label if isinstance(label, str) else "|".join(sorted(map(str, label)))
