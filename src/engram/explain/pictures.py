"""The pictures that a run keeps to be shown, beside what was answered to them.

Shapes: M pictures kept, H × W pixels, C colour channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core.rundir import RunDirectory

FILE = "examples.safetensors"


@dataclass
class Kept:
    """rows: (M,) row numbers in the table, in the order of `pictures` uint8 (M, H, W, C)."""

    rows: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __post_init__(self) -> None:
        self._place = {int(row): place for place, row in enumerate(self.rows)}

    def place(self, row: int) -> int | None:
        """Where the picture of a row is kept; None where it is not."""
        return self._place.get(int(row))


def read(run: RunDirectory) -> Kept | None:
    """Read the pictures that a run keeps; None where it keeps none. RunError where the file is damaged."""
    if not (run / FILE).is_file():
        return None
    arrays = run.read_arrays(FILE)
    found: list[Any] = [value for name, value in arrays.items() if name != "rows" and value.ndim == 4]
    if "rows" not in arrays or not found or len(found[0]) != len(arrays["rows"]) or not len(arrays["rows"]):
        return None
    return Kept(arrays["rows"], found[0])
