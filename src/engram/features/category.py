"""Category: one name out of a fixed set, such as the label of a picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.evidence import Evidence
from engram.features._scales import SCALE_NAMES, in_order
from engram.features.feature import Arrays, Feature

if TYPE_CHECKING:
    from torch import Tensor

LABEL_NAMES = frozenset(
    {"label", "labels", "class", "classes", "target", "category", "categories", "y", "species", "diagnosis", "outcome"}
)
ID_NAMES = re.compile(r"(^|_)(id|uuid|guid|index|filename|file|path|name|url)$")


class Category(Feature):
    """One name out of a fixed set. Names are learned from the training rows and kept in natural order.

    scale: whether the column's name says that whole numbers in it are steps of a scale. Names that are, by it or
    evidently, are kept in its order, and `ordered` says so.
    """

    def __init__(self, *, scale: bool = False) -> None:
        self.scale = scale
        self.ordered = False
        self.names: list[str] = []
        self._index: dict[str, int] = {}

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Few different values for the number of rows; a name such as "label" makes it stronger."""
        if column.kind not in ("text", "number"):
            return Evidence(0.0, f"its values are of kind {column.kind}")
        if column.lazy:
            return Evidence(0.0, "its values are texts in files")
        if hasattr(column.values, "num_distinct"):
            whole = column.kind != "number" or column.values.whole
            return distinct_evidence(column.name, column.values.num_distinct, len(column), whole=whole)
        known = {name for value in column.values if (name := _name_or_none(value)) is not None}
        return distinct_evidence(column.name, len(known), len(column), whole=_all_whole(known, column.kind))

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> Feature:
        """See whether the column is called like a scale."""
        return cls(scale=bool(SCALE_NAMES.search(column.name.lower())), **wishes)

    def config(self) -> dict[str, Any]:
        """Whether it is a scale by name."""
        return {"scale": self.scale}

    def store_keys(self) -> list[dict[str, Any]]:
        """What is stored depends on nothing."""
        return [{}]

    @property
    def size(self) -> int:
        """The number of names."""
        return len(self.names)

    def store(self, value: Any) -> dict[str, Any]:
        """Return {"name": the name as text}. DataError where there is none."""
        return {"name": canonical(value)}

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn the names that the training rows hold."""
        names = stored.arrays["name"]
        self._set({names[row] for row in np.asarray(rows).tolist()})

    def _set(self, names: set[str]) -> None:
        steps = in_order(names, scale=self.scale)
        self.ordered = steps is not None
        self.names = steps or sorted(names, key=natural)
        self._index = {name: number for number, name in enumerate(self.names)}

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return the names' numbers, int64 (B,). A name that training has not seen is -1."""
        import torch

        return torch.tensor([self._index.get(name, -1) for name in gathered["name"]], dtype=torch.int64)

    def decode(self, encoded: Tensor) -> list[str | None]:
        """Return names for numbers; None for -1."""
        return [self.names[number] if number >= 0 else None for number in encoded.tolist()]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The names, and whether they are steps."""
        return {"names": self.names, "ordered": self.ordered}, {}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back the names in their order; RunError if they are damaged."""
        self.names, self.ordered = saved_names(values), values.get("ordered") is True
        self._index = {name: number for number, name in enumerate(self.names)}


def canonical(value: Any) -> str:
    """The name of a label however it was written: 3, 3.0 and "3" are "3"; True is "true". DataError if it is missing.

    Surrounding spaces go; upper and lower case stay (the doctor names labels that differ only so).
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value:
            raise DataError("the label is missing (NaN)")
        return str(int(value)) if value.is_integer() else repr(value)
    if value is None:
        raise DataError("the label is missing")
    name = value.strip() if isinstance(value, str) else str(value)
    if not name:
        raise DataError("the label is empty")
    return name


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key: numbers within names by their value ("2" before "10"), then letters."""
    pieces = re.split(r"(\d+)", name)
    key = [
        (0, int(piece), "") if piece.isdecimal() and len(piece) < 100 else (1, 0, piece) for piece in pieces if piece
    ]
    return [*key, (2, 0, name)]  # "01" and "1" are equal up to here


def saved_names(values: dict[str, Any]) -> list[str]:
    """Read a saved list of names; RunError unless it is a list of different texts."""
    names = values.get("names")
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        raise RunError("the saved names of labels are damaged: expected a list of different texts")
    return list(names)


def distinct_evidence(column_name: str, distinct: int, rows: int, *, whole: bool = True) -> Evidence:
    """Judge by the number of different values; shared by one label and several."""
    if rows == 0 or distinct == 0:
        return Evidence(0.0, "it is empty")
    share = distinct / rows
    said = f"{distinct:,} different values in {rows:,} rows"
    named = column_name.lower().strip() in LABEL_NAMES
    if (distinct > 20 and share > 0.5) or not whole or (ID_NAMES.search(column_name.lower()) and share > 0.2):
        return Evidence(0.4 if named and share < 1 and whole else 0.0, f"{said}: too many for classes")
    if distinct == 1:
        return Evidence(0.2, "only one value")
    score = 0.6 if share <= 0.1 or distinct <= 20 else 0.4
    return Evidence(min(score + 0.35, 0.95), f"named {column_name!r}, {said}") if named else Evidence(score, said)


def _name_or_none(value: Any) -> str | None:
    try:
        return canonical(value)
    except DataError:
        return None


def _all_whole(names: set[str], kind: str) -> bool:
    """Numbers with fractions are measurements, not names."""
    return kind != "number" or all(re.fullmatch(r"-?\d+|true|false", name) for name in names)
