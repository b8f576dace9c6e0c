"""The examples that a run keeps to be shown and asked about, beside what was answered to them.

Shapes: M examples kept, H × W pixels, C colour channels, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core import strict
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory

FILE = "examples.safetensors"


@dataclass
class Kept:
    """rows: (M,) row numbers in the table, in the order of the values of one kind.

    pictures: uint8 (M, H, W, C). texts. records: values of any other kind, as JSON holds them. tokens, scored: windows
    of running text (M, T + 1), and which of them but the first are scored (M, T). label: class numbers (M,), -1
    unknown, or yes or no (M, classes). even: which of them (M,) stand for all scored examples. learned: which were
    learned from.
    """

    rows: np.ndarray
    pictures: np.ndarray | None = None
    texts: list[str] | None = None
    records: list[Any] | None = None
    tokens: np.ndarray | None = None
    scored: np.ndarray | None = None
    label: np.ndarray | None = None
    even: np.ndarray | None = None
    learned: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __post_init__(self) -> None:
        self._place = {int(row): place for place, row in enumerate(self.rows)}

    @property
    def values(self) -> Sequence[Any]:
        """The examples themselves, as a predictor takes them; none of running text."""
        kinds: tuple[Any, ...] = (self.pictures, self.texts, self.records)
        return next((values for values in kinds if values is not None), [])

    def place(self, row: int) -> int | None:
        """Where the example of a row is kept; None where it is not."""
        return self._place.get(int(row))

    def value(self, row: int) -> Any:
        """The example of a row that is kept."""
        return self.values[self._place[int(row)]]


def read(run: RunDirectory) -> Kept | None:
    """Read what a run keeps to show; None where it keeps nothing. RunError where the file is damaged."""
    if not (run / FILE).is_file():
        return None
    arrays = run.read_arrays(FILE)
    rows = arrays.pop("rows", np.zeros(0))
    if not len(rows):
        return None
    facts: dict[str, Any] = {
        name: arrays.pop(name) for name in ("label", "even", "learned", "scored") if name in arrays
    }
    if "tokens" in arrays:
        return Kept(rows, tokens=arrays["tokens"], **facts)
    if (sizes := arrays.pop("sizes", None)) is not None:
        texts = _texts(next(iter(arrays.values()), np.zeros(0, np.uint8)), sizes, len(rows), run)
        if "json" in arrays:
            return Kept(rows, records=_records(texts, run), **facts)
        return Kept(rows, texts=texts, **facts)
    found: list[Any] = [value for value in arrays.values() if value.ndim == 4]
    return Kept(rows, pictures=found[0], **facts) if found and len(found[0]) == len(rows) else None


def _records(texts: list[str], run: RunDirectory) -> list[Any]:
    try:
        return [strict.parse(text.encode()) for text in texts]
    except ValueError as error:
        raise RunError(f"{run / FILE} is damaged ({error}). Score the run again.") from None


def _texts(utf8: np.ndarray, sizes: np.ndarray, number: int, run: RunDirectory) -> list[str]:
    """Cut texts that stand one after another."""
    if utf8.dtype != np.uint8 or len(sizes) != number or sizes.sum() != len(utf8) or (sizes < 0).any():
        raise RunError(f"{run / FILE} is damaged: expected texts with their sizes. Score the run again.")
    ends = np.cumsum(sizes).tolist()
    return [
        utf8[end - size : end].tobytes().decode("utf-8", "replace")
        for size, end in zip(sizes.tolist(), ends, strict=True)
    ]
