"""Moments: dates and times, in one of many spellings; seen as the moment itself and what recurs in it.

Kept are seconds since 1970 (UTC where a zone is said). The parts that recur, such as the weekday, are numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.parts import Course
from engram.features import _moments as moments
from engram.features._fields.field import Field, is_missing
from engram.features._fields.numbers import Scale
from engram.features._moments import DAYS

if TYPE_CHECKING:
    import polars

DAY, YEAR = 86_400.0, 31_556_952.0
PARTS = ("month", "day", "weekday", "hour", "minute")
"""What recurs in moments. Months are 1 to 12, weekdays 0 (Monday) to 6."""


class MomentField(Field):
    """A date or time. formats: how its day is written (`engram.features._moments`), the commonest first; a clock after
    it is understood, whichever. parts: what of `PARTS` varies."""

    kind = "date"

    def __init__(
        self,
        name: str,
        *,
        reason: str = "",
        optional: bool = False,
        formats: Sequence[str] = (),
        parts: Sequence[str] = (),
    ) -> None:
        super().__init__(name, reason=reason, optional=optional)
        self.formats = list(dict.fromkeys(_day_of(form) for form in formats)) or [DAYS[0]]
        self.parts = [part for part in PARTS if part in parts]
        self.scales = {part: Scale() for part in ("", *self.parts)}

    def config(self) -> dict[str, Any]:
        """Formats and parts too."""
        return {**super().config(), "formats": self.formats, "parts": self.parts}

    def read(self, series: polars.Series) -> np.ndarray:
        """Return seconds since 1970; NaN for what has none of the formats."""
        seconds: np.ndarray = (moments.read(series, self.formats) / 1e6).fill_null(np.nan).to_numpy()
        return seconds

    def read_one(self, value: Any) -> float:
        """Return the seconds of a text or number, or of a date of Python's."""
        import polars

        if is_missing(value):
            return np.nan
        if not isinstance(value, str | int | float | date | np.datetime64):
            raise DataError(f"expected a date for {self.name}; got {value!r}")
        return float(self.read(polars.Series([value]))[0])

    def fit(self, stored: np.ndarray) -> None:
        """Learn the ranks of moments and parts."""
        for part, scale in self.scales.items():
            scale.fit(stored if not part else part_of(stored, part))

    @property
    def labels(self) -> tuple[str, ...]:
        """The column, and its parts."""
        return (self.name, *(f"{self.name}: {part}" for part in self.parts))

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Return the moment and its parts (N, P)."""
        found = [scale.encode(stored if not part else part_of(stored, part)) for part, scale in self.scales.items()]
        return np.stack(found, 1)

    def decode(self, encoded_NP: np.ndarray) -> list[Any]:
        """Return moments in ISO form, to the second; dates alone where they have no time."""
        seconds = self.scales[""].decode(encoded_NP[:, 0])
        return [None if value != value else self._said(value) for value in seconds.tolist()]

    def _said(self, seconds: float) -> str:
        return moments.written(round(seconds) * moments.SECOND, self.formats[0])

    def course(self) -> Course | None:
        """Moments from the first to the last, in years."""
        seconds, edges, shares = self.scales[""].course()
        years, between = (1970 + some / YEAR for some in (seconds, edges))
        return Course(years.tolist(), self.encode(seconds), between.tolist(), shares.tolist(), unit="year")

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The knots of each scale."""
        arrays = {f"{part or 'moment'}/{name}": a for part, s in self.scales.items() for name, a in s.state().items()}
        return {}, arrays

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take back the knots."""
        for part, scale in self.scales.items():
            prefix = f"{part or 'moment'}/"
            scale.load_state({name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)})
        if not all(form in moments.SERIAL or "%" in form for form in self.formats):
            raise RunError(f"the saved formats of the column {self.name} are damaged")

    def schema(self) -> dict[str, Any]:
        """A text, or a number where moments are numbers."""
        kind = "number" if self.formats[0] in moments.SERIAL else "string"
        return {"type": [kind, "null"] if self.optional else kind}

    def example(self) -> Any:
        """A moment in the middle."""
        said = self._said(self.scales[""].middle)
        return float(said) if self.formats[0] in moments.SERIAL else said

    def summary(self, stored: np.ndarray) -> str:
        """The first and the last."""
        known = stored[np.isfinite(stored)]
        ends = (known.min(), known.max()) if len(known) else ()
        return " to ".join(str(np.datetime64(int(end), "s")).replace("T00:00:00", "") for end in ends)


def _day_of(form: str) -> str:
    """A form without the clock that it may say, which is understood without it."""
    return re.split(r"[T ,:]+%[HI]", form)[0]


def part_of(seconds: np.ndarray, part: str) -> np.ndarray:
    """Return a part of moments, float64 (N,), NaN where there is none."""
    known = np.isfinite(seconds) & (np.abs(seconds) < 1e11)  # the years -1200 to 5100
    whole = np.where(known, seconds, 0)
    days = np.floor(whole / DAY)
    if part == "weekday":
        found = (days + 3) % 7
    elif part in ("hour", "minute"):
        found = np.floor((whole - days * DAY) / (3600 if part == "hour" else 60)) % (24 if part == "hour" else 60)
    else:
        date64 = days.astype("datetime64[D]")
        month = date64.astype("datetime64[M]")
        found = month.astype(np.int64) % 12 + 1 if part == "month" else (date64 - month).astype(np.int64) + 1
    return np.where(known, found, np.nan).astype(np.float64)
