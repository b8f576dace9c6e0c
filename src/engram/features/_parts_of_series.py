"""The window of a series taken apart: stretches of each column, taken away by putting the column's mean there.

Shapes: K variants, P parts, L steps that are looked back at, H of the horizon, F columns.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from engram.core.parts import Parts

MOST_PARTS = 36
STRETCHES = 12
"""Of each column, at most."""


def parts_of(x_1LF: Tensor, *, columns: list[str], lookback: int, unit: str) -> Parts:
    """Take an encoded window apart. columns: those that were measured, the first ones. unit: of a step."""
    number = int(np.clip(MOST_PARTS // len(columns), 1, min(STRETCHES, lookback)))
    edges = np.linspace(0, lookback, number + 1).astype(int)
    spans = [(column, a, b) for column in range(len(columns)) for a, b in itertools.pairwise(edges)]
    mean_F = x_1LF[0, :lookback].mean(0)
    part_LF = torch.full(x_1LF.shape[1:], -1)
    for part, (column, start, stop) in enumerate(spans):
        part_LF[start:stop, column] = part

    def encode(gone_KP: np.ndarray) -> Tensor:
        marks = torch.from_numpy(np.pad(np.asarray(gone_KP, bool), ((0, 0), (0, 1))))  # the last one is that of no part
        return torch.where(marks[:, part_LF], mean_F, x_1LF)

    def shares(value_KLF: Tensor) -> Tensor:
        known = part_LF >= 0
        sums_KP = torch.zeros(len(value_KLF), len(spans), dtype=value_KLF.dtype)
        return sums_KP.index_add(1, part_LF[known], value_KLF[:, known])

    names = [f"{columns[column]}, {lookback - a} to {lookback - b + 1} {unit} before" for column, a, b in spans]
    nowhere = np.zeros((len(spans), 0), np.int64)
    return Parts("columns", columns, names, nowhere, encode, np.eye(len(spans), dtype=bool), shares=shares)
