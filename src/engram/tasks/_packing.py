"""Packing: short texts side by side in one row, so that hardly anything is padding.

Rows come in few shapes besides, for each of which matrix products have to be prepared (LOG.md, 2026-11-26).

Shapes: B examples, P parts of each that go together (source and target), T tokens, R rows, L places of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engram.core.vocabulary import BEGIN, PADDING

PLACES, ROWS = 64, 4
"""Rows have a multiple of so many places, and there is a multiple of so many rows."""


@dataclass(frozen=True)
class Packing:
    """Where texts lie: row, and place within it, of each one's first token, and its tokens (B,). shape: (R, L)."""

    row: Tensor
    start: Tensor
    length: Tensor
    shape: tuple[int, int]

    def __call__(self, values_BT: Tensor) -> Tensor:
        """Lay what belongs to the tokens of texts (B, T) side by side (R, L), zeros (PADDING) where there is none."""
        place_T = torch.arange(values_BT.shape[1], device=values_BT.device)
        there_BT = place_T < self.length[:, None]
        place_BT = self.start[:, None] + place_T
        found_RL = values_BT.new_full(self.shape, PADDING)
        found_RL[self.row[:, None].expand_as(place_BT)[there_BT], place_BT[there_BT]] = values_BT[there_BT]
        return found_RL


def side_by_side(*lengths: Tensor) -> list[Packing]:
    """Find places for texts of these lengths (B,) in each part, those of one example in the same row of all.

    The longest come first, each into the first row that has room.
    """
    length_BP = torch.stack(lengths, 1).cpu().numpy()
    most = -(-int(length_BP.max()) // PLACES) * PLACES
    row_B, start_BP, filled_BP = np.zeros(len(length_BP), np.int64), np.zeros_like(length_BP), np.zeros_like(length_BP)
    for example in np.argsort(-length_BP.max(1), kind="stable"):
        row = int((filled_BP + length_BP[example] <= most).all(1).argmax())
        row_B[example], start_BP[example] = row, filled_BP[row]
        filled_BP[row] += length_BP[example]
    shape = (-(-(int(row_B.max()) + 1) // ROWS) * ROWS, most)
    rows, *starts = (torch.from_numpy(each).to(lengths[0].device) for each in (row_B, *start_BP.T))
    return [Packing(rows, start, length, shape) for start, length in zip(starts, lengths, strict=True)]


def begun(text_RL: Tensor) -> Tensor:
    """Begin a text in rows that hold none, where all have something to look at then."""
    text_RL[:, 0] = BEGIN
    return text_RL
