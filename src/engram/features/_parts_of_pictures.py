"""A picture taken apart: squares that are taken away by filling them from what is around them.

Grey squares would be a sight that no network has learned from. What is filled in from the surroundings looks ordinary
and tells nothing of what was there (compare Rong et al. 2022, "A consistent and efficient evaluation strategy for
attribution methods", arXiv:2202.00449).

Shapes: K variants, P parts on a grid of Y × X, G windows, C channels, H × W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.parts import Parts

GRID = 14
"""Squares along the shorter side, about."""

WINDOWS = (2, 4)
"""Sides, in squares, of what is taken away together: one square alone is hardly ever missed."""


def parts_of(x_1CHW: Tensor, picture: np.ndarray) -> Parts:
    """Take an encoded picture apart. picture: as it is shown."""
    height, width = x_1CHW.shape[2:]
    side = max(1, round(min(height, width) / GRID))
    edges = [np.append(np.arange(0, length - side // 2, side), length) for length in (height, width)]
    rows, columns = len(edges[0]) - 1, len(edges[1]) - 1
    number_HW = torch.from_numpy(
        np.repeat(
            np.repeat(np.arange(rows * columns).reshape(rows, columns), np.diff(edges[0]), 0), np.diff(edges[1]), 1
        )
    )
    places = np.array(
        [(edges[0][y], edges[0][y + 1], edges[1][x], edges[1][x + 1]) for y in range(rows) for x in range(columns)]
    )

    def encode(gone_KP: np.ndarray) -> Tensor:
        kept_KHW = ~torch.from_numpy(np.asarray(gone_KP, bool))[:, number_HW]
        return filled(x_1CHW.expand(len(gone_KP), -1, -1, -1), kept_KHW[:, None])

    def shares(value_KCHW: Tensor) -> Tensor:
        flat_KN = value_KCHW.sum(1).flatten(1).cpu()
        sums_KP = torch.zeros(len(flat_KN), rows * columns, dtype=flat_KN.dtype)
        return sums_KP.index_add(1, number_HW.flatten(), flat_KN)

    names = [f"row {y + 1}, column {x + 1}" for y in range(rows) for x in range(columns)]
    return Parts("pixels", picture, names, places, encode, _windows(rows, columns), shares=shares)


def filled(x_KCHW: Tensor, kept_K1HW: Tensor) -> Tensor:
    """Fill in what is not kept from what is kept around it, at the coarsest from the mean; nothing kept: zeros.

    Pyramids of means: each hole takes its colours from the finest level that knows some ("pull-push").
    """
    weight = kept_K1HW.to(x_KCHW.dtype)
    levels = [(x_KCHW * weight, weight)]
    while max(levels[-1][0].shape[2:]) > 1:
        levels.append(tuple(nn.functional.avg_pool2d(part, 2, ceil_mode=True) for part in levels[-1]))  # type: ignore[arg-type]
    found = torch.zeros_like(levels[-1][0])
    for total, weight in reversed(levels):
        coarse = nn.functional.interpolate(found, total.shape[2:], mode="bilinear")
        found = torch.where(weight > 0, total / weight.clamp(min=1e-6), coarse)
    return torch.where(kept_K1HW, x_KCHW, found).contiguous(memory_format=torch.channels_last)


def _windows(rows: int, columns: int) -> np.ndarray:
    """Squares of some sides, half of each overlapping the next."""
    found = []
    for side in WINDOWS:
        tall, wide = min(side, rows), min(side, columns)
        for top in range(0, rows - tall + 1, max(1, side // 2)):
            for left in range(0, columns - wide + 1, max(1, side // 2)):
                window = np.zeros((rows, columns), bool)
                window[top : top + tall, left : left + wide] = True
                found.append(window.ravel())
    covered = np.any(found, 0)
    return np.array([*found, *np.eye(rows * columns, dtype=bool)[~covered]])
