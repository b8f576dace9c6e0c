"""Categories: any number of names out of a fixed set, such as everything that can be seen in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Evidence
from engram.features.category import canonical, distinct_evidence, natural, saved_names
from engram.features.feature import Arrays, Feature

if TYPE_CHECKING:
    from torch import Tensor


class Categories(Feature):
    """Several names, or none, out of a fixed set.

    A value is a list of names, or one text with names separated by `separator`.
    """

    def __init__(self, *, separator: str = "|") -> None:
        self.separator = separator
        self.names: list[str] = []
        self._index: dict[str, int] = {}

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Lists of names with few different ones."""
        if column.kind != "names":
            return Evidence(0.0, f"its values are of kind {column.kind}, not lists of names")
        known = {str(name) for value in column.values if value is not None for name in value}
        return distinct_evidence(column.name, len(known), len(column))

    @property
    def size(self) -> int:
        """The number of names."""
        return len(self.names)

    def config(self) -> dict[str, Any]:
        """The separator."""
        return {"separator": self.separator}

    def store(self, value: Any) -> dict[str, Any]:
        """Return {"names": sorted list of different names}. An empty list is a value; None is missing: DataError."""
        if value is None:
            raise DataError("the labels are missing")
        if isinstance(value, str):
            value = [piece for piece in value.split(self.separator) if piece.strip()]
        if isinstance(value, int | float | bool):
            value = [value]
        return {"names": sorted({canonical(name) for name in value}, key=natural)}

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn the names that the training rows hold."""
        names = stored.arrays["names"]
        self._set(sorted({name for row in np.asarray(rows).tolist() for name in names[row]}, key=natural))

    def _set(self, names: list[str]) -> None:
        self.names = names
        self._index = {name: number for number, name in enumerate(names)}

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return float32 (B, names): 1 where an example has the name. Names not seen in training are left out."""
        import torch

        hot_BC = torch.zeros(len(gathered["names"]), len(self.names))
        for row, names in enumerate(gathered["names"]):
            hot_BC[row, [self._index[name] for name in names if name in self._index]] = 1.0
        return hot_BC

    def decode(self, encoded: Tensor) -> list[list[str]]:
        """Return the names whose value is above one half."""
        return [[self.names[number] for number in row.nonzero()[:, 0].tolist()] for row in encoded > 0.5]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The names."""
        return {"names": self.names}, {}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back the names in their order; RunError if they are damaged."""
        self._set(saved_names(values))
