"""Categories: names out of a set. The training rows' are numbered by frequency; 0 is missing or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.parts import Course
from engram.features._fields.field import Field, is_missing
from engram.features.category import canonical

if TYPE_CHECKING:
    import polars

FEW = 50
"""So many names all get a code; of more, those that are rare in training share the code 0."""

RARE = 3
"""Of more names than `FEW`, those of fewer training rows are rare."""

SHOWN, MOST_NAMES, MOST_SHOWN = 3, 10, 40


class CategoryField(Field):
    """A name. levels: those of the whole column that occur more than once, by which cells are stored.

    Stored are 0 for a missing cell, -1 for a name that is none of the levels, else its place among them from 1 on.
    """

    kind = "category"
    is_code = True

    def __init__(
        self, name: str, *, reason: str = "", optional: bool = False, levels: Sequence[str] = (), single: int = 0
    ) -> None:
        super().__init__(name, reason=reason, optional=optional)
        self.levels, self.single = list(levels), single
        self._place = {level: place for place, level in enumerate(self.levels, start=1)}
        self.known: list[int] = []  # places of levels, by code from 1 on
        self._code = np.zeros(len(self.levels) + 1, np.float32)

    def config(self) -> dict[str, Any]:
        """The levels too."""
        return {**super().config(), "levels": self.levels, "single": self.single}

    def read(self, series: polars.Series) -> np.ndarray:
        """Return the places of names."""
        import polars

        found = {value: self.read_one(value) for value in series.drop_nulls().unique().to_list()}
        if not found:
            return np.zeros(len(series))
        places = series.replace_strict(list(found), list(found.values()), default=0.0, return_dtype=polars.Float64)
        return places.fill_null(0.0).to_numpy()

    def read_one(self, value: Any) -> float:
        """Return the place of a name."""
        if is_missing(value):
            return 0.0
        if isinstance(value, list | dict | tuple):
            raise DataError(f"expected a name for {self.name}; got {value!r}")
        return float(self._place.get(canonical(value), -1))

    def fit(self, stored: np.ndarray) -> None:
        """Number the levels that training rows have often enough."""
        counts = np.bincount(stored[stored > 0].astype(np.int64), minlength=len(self.levels) + 1)
        least = 1 if len(self.levels) + self.single <= FEW else RARE
        order = np.lexsort((np.arange(len(counts)), -counts))
        self._know([int(place) for place in order if place and counts[place] >= least])

    def _know(self, places: Sequence[int]) -> None:
        self.known = list(places)
        self._code[:] = 0
        self._code[self.known] = np.arange(1, len(self.known) + 1)

    @property
    def names(self) -> list[str]:
        """The names that have a code, from 1 on."""
        return [self.levels[place - 1] for place in self.known]

    @property
    def cardinality(self) -> int:
        """Known names, and 0."""
        return len(self.known) + 1

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Return codes (N, 1)."""
        return self._code[np.maximum(stored, 0).astype(np.int64)][:, None]

    def decode(self, encoded_NP: np.ndarray) -> list[Any]:
        """Return names; None for 0."""
        names = [None, *self.names]
        return [names[code] for code in encoded_NP[:, 0].astype(np.int64).tolist()]

    def course(self) -> Course | None:
        """The commonest names."""
        names = self.names[:MOST_NAMES]
        return Course(list(names), np.arange(1, len(names) + 1, dtype=np.float32)[:, None]) if names else None

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The places of known levels."""
        return {"known": self.known}, {}

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take back the known levels; RunError if they are none."""
        known: Any = values.get("known")
        fits = isinstance(known, list) and all(type(p) is int and 0 < p <= len(self.levels) for p in known)
        if not fits or len(set(known)) != len(known):
            raise RunError(f"the saved codes of the column {self.name} are damaged")
        self._know(known)

    def schema(self) -> dict[str, Any]:
        """A text; of a few, all that are known. Another one is answered for, too."""
        kind = ["string", "null"] if self.optional else "string"
        return {"type": kind, **({"examples": self.names} if 0 < len(self.known) <= FEW else {})}

    def example(self) -> Any:
        """The most frequent name."""
        return self.names[0] if self.known else None

    def missing(self, stored: np.ndarray) -> np.ndarray:
        """Where there is no name."""
        return stored == 0

    def summary(self, stored: np.ndarray) -> str:
        """The most frequent names, and how many are too rare to have a code."""
        counts = np.bincount(stored[stored > 0].astype(np.int64), minlength=len(self.levels) + 1)
        most = [place for place in np.argsort(-counts, kind="stable")[:SHOWN].tolist() if counts[place]]
        total = max(1, len(stored))
        often = ", ".join(f"{_shown(self.levels[place - 1])} {counts[place] / total:.0%}" for place in most)
        rare = len(self.levels) + self.single - len(self.known)
        return f"{often}{f'; {rare:,} rare ones count as one' if rare else ''}"


def _shown(name: str) -> str:
    """A name on one line, its beginning where it is long."""
    line = " ".join(name.split())
    return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}…"
