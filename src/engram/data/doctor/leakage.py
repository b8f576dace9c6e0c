"""Leakage: a column that gives the target away, such as a copy of it, or what was only known afterwards.

A network would score well with such a column and fail where it is needed. Each column is judged by how well it alone
predicts targets that it was not fitted on.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.evidence import Finding
from engram.data.doctor.naming import joined, label_values
from engram.data.doctor.shortcuts import predicted

if TYPE_CHECKING:
    from engram.data.stored import Stored

LOOKED_AT = 5000
LEAST = 50
"""Rows; of fewer nothing can be said."""

ERROR = 0.03
"""A column that leaves so small a share of the errors that the commonest answer makes gives the target away."""

FEWEST = 0.01
"""And so small a share of rows."""

FEW = 30
"""So many different numbers are taken one by one, of more each is taken for its neighbour."""

ORDERED = 0.999
"""Rank correlation of a column with a number, from which on it is that number in other words."""

MOST_CELLS = 1_000_000
"""Values times classes; beyond, a class has too few rows to tell."""


def leakage(feature: Any, stored: Stored, target: Stored, *, name: str) -> Iterator[Finding]:
    """Name the columns of a record that tell the target by themselves. name: the target's."""
    rows = np.flatnonzero(stored.ok & target.ok)
    rows = rows[:: 1 + len(rows) // LOOKED_AT]
    if len(rows) < LEAST:
        return
    said = [reason for place in range(len(feature.fields)) if (reason := _told(feature, stored, target, rows, place))]
    if said:
        message = f"{len(said)} columns give {name} away: one alone predicts it nearly perfectly"
        fix = (
            "is that known before the target is? If not, leave the column out, or scores will be too good: "
            "--columns NAME=ignore"
        )
        yield Finding("warning", "leakage", message, tuple(said), fix)


def _told(feature: Any, stored: Stored, target: Stored, rows: np.ndarray, place: int) -> str:
    """How a column tells the target, in words; empty where it does not."""
    field = feature.fields[place]
    if field.is_ragged:
        return ""
    cells = feature.read_of(stored.arrays, rows, place)
    if "number" in target.arrays:
        return _of_number(field.name, cells, np.asarray(target.gather_one("number", rows)), is_code=field.is_code)
    names, label = np.unique([joined(label_values(target)[row]) for row in rows.tolist()], return_inverse=True)
    values, code = np.unique(np.nan_to_num(cells, nan=-np.inf), return_inverse=True)
    if min(len(names), len(values)) < 2 or len(values) * len(names) > MOST_CELLS:
        return ""
    if field.is_code or len(values) <= FEW:
        _, accuracy = predicted(code.reshape(-1), label, num_codes=len(values), num_classes=len(names))
    else:  # by the next number
        ordered = label[np.argsort(cells, kind="stable")]
        accuracy = float((ordered[1:] == ordered[:-1]).mean())
    majority = np.bincount(label).max() / len(label)
    if 1 - accuracy > min(FEWEST, ERROR * (1 - majority)):
        return ""
    return f"{field.name} predicts {accuracy:.1%} (the commonest answer: {majority:.1%})"


def _of_number(name: str, cells: np.ndarray, number: np.ndarray, *, is_code: bool) -> str:
    known = np.isfinite(cells)
    if is_code or known.sum() < LEAST or known.mean() < 0.5 or not (np.ptp(cells[known]) and np.ptp(number[known])):
        return ""
    if (cells[known] == number[known]).all():
        return f"{name} is a copy of it"
    rank = abs(float(np.corrcoef(_ranks(cells[known]), _ranks(number[known]))[0, 1]))
    return f"{name} orders rows as it does (rank correlation {rank:.4f})" if rank >= ORDERED else ""


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Ranks, the middle one for equal numbers."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place.reshape(-1)]
