"""The pictures or texts that a run keeps to be shown, beside what was answered to them.

Shapes: M examples kept, H × W pixels, C colour channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core.errors import RunError
from engram.core.rundir import RunDirectory

FILE = "examples.safetensors"


@dataclass
class Kept:
    """rows: (M,) row numbers in the table, in the order of `pictures` uint8 (M, H, W, C), or of `texts`."""

    rows: np.ndarray
    pictures: np.ndarray | None = None
    texts: list[str] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __post_init__(self) -> None:
        self._place = {int(row): place for place, row in enumerate(self.rows)}

    def place(self, row: int) -> int | None:
        """Where the example of a row is kept; None where it is not."""
        return self._place.get(int(row))


def read(run: RunDirectory) -> Kept | None:
    """Read what a run keeps to show; None where it keeps nothing. RunError where the file is damaged."""
    if not (run / FILE).is_file():
        return None
    arrays = run.read_arrays(FILE)
    rows = arrays.pop("rows", np.zeros(0))
    if not len(rows):
        return None
    if (sizes := arrays.pop("sizes", None)) is not None:
        return Kept(rows, texts=_texts(next(iter(arrays.values()), np.zeros(0, np.uint8)), sizes, len(rows), run))
    found: list[Any] = [value for value in arrays.values() if value.ndim == 4]
    return Kept(rows, pictures=found[0]) if found and len(found[0]) == len(rows) else None


def _texts(utf8: np.ndarray, sizes: np.ndarray, number: int, run: RunDirectory) -> list[str]:
    """Cut texts that stand one after another."""
    if utf8.dtype != np.uint8 or len(sizes) != number or sizes.sum() != len(utf8) or (sizes < 0).any():
        raise RunError(f"{run / FILE} is damaged: expected texts with their sizes. Score the run again.")
    ends = np.cumsum(sizes).tolist()
    return [
        utf8[end - size : end].tobytes().decode("utf-8", "replace")
        for size, end in zip(sizes.tolist(), ends, strict=True)
    ]
