"""A row taken apart into its columns, each of which is taken away by putting what is typical in its place.

A missing number would be something else: that it is missing may itself say much.

Shapes: K variants, C columns, F places of an encoded row, S of them numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engram.core.parts import Parts

TYPICAL_NUMBER, TYPICAL_CODE = 0.0, 1.0
"""Encoded, the median of a column, and its commonest name."""


def parts_of(
    row: Mapping[str, Any], record_1F: Tensor, *, columns: Sequence[str], column_F: np.ndarray, num_numbers: int
) -> Parts:
    """Take an encoded row apart. column_F: the number of the column that each place is of."""
    typical_F = torch.full(record_1F.shape[1:], TYPICAL_NUMBER)
    typical_F[num_numbers:] = TYPICAL_CODE

    def encode(gone_KC: np.ndarray) -> Tensor:
        gone_KF = torch.from_numpy(np.asarray(gone_KC, bool)[:, column_F])
        return torch.where(gone_KF, typical_F, record_1F)

    def shares(value_KF: Tensor) -> Tensor:
        sums_KC = torch.zeros(len(value_KF), len(columns), dtype=value_KF.dtype)
        return sums_KC.index_add(1, torch.from_numpy(column_F), value_KF.nan_to_num())

    names = [f"{name} = {_told(row.get(name))}" for name in columns]
    nowhere = np.zeros((len(columns), 0), np.int64)
    return Parts("columns", dict(row), names, nowhere, encode, np.eye(len(columns), dtype=bool), shares=shares)


def _told(value: Any) -> str:
    """A cell in a few signs."""
    if value is None or value != value:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
