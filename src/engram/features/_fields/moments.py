"""Moments: dates and times, in one of many spellings; seen as the moment itself and what recurs in it.

Kept are seconds since 1970 (UTC where a zone is said). The parts that recur, such as the weekday, are numbers too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.parts import Course
from engram.features._fields.field import Field, is_missing
from engram.features._fields.numbers import Scale

if TYPE_CHECKING:
    import polars

DAY, YEAR = 86_400.0, 31_556_952.0
EXCEL = 25_569
"""Days from the first day of spreadsheets (1899-12-30) to 1970."""

FIRST = -30_000_000_000.0
"""Seconds since 1970 of the earliest moment (the year 1019): earlier ones are misread."""

SERIAL = {"excel": (DAY, -EXCEL * DAY), "unix": (1.0, 0.0), "unix milliseconds": (1e-3, 0.0)}
"""How numbers say moments: seconds a unit, and the moment of 0."""

_TIMES = ("", " %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%y",
         "%d/%m/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d")  # fmt: skip
FORMATS = (
    *(day + time for day in _DAYS for time in _TIMES),
    *("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"),
)
TWINS = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%m-%d-": "%d-%m-", "%d-%m-": "%m-%d-"}
"""Days before months and months before days: a column has one of them, whichever it is."""

PARTS = ("month", "day", "weekday", "hour", "minute")
"""What recurs in moments. Months are 1 to 12, weekdays 0 (Monday) to 6."""


def twin(form: str) -> str | None:
    """The same format with day and month exchanged; None where they cannot be mistaken."""
    return next((form.replace(one, other) for one, other in TWINS.items() if one in form), None)


def parsed(series: polars.Series, form: str) -> polars.Series:
    """Read texts or numbers as moments: seconds since 1970, null where that is not their format."""
    import polars

    if form in SERIAL:
        unit, zero = SERIAL[form]
        return series.cast(polars.Float64, strict=False) * unit + zero
    texts = series.cast(polars.String).str.strip_chars()
    try:
        if "%H" in form or "%I" in form:
            moments = texts.str.strptime(polars.Datetime("us", "UTC" if "z" in form else None), form, strict=False)
        else:
            moments = texts.str.strptime(polars.Date, form, strict=False).cast(polars.Datetime("us"))
    except polars.exceptions.PolarsError:
        return polars.Series([None] * len(series), dtype=polars.Float64)
    seconds = moments.dt.epoch("us").cast(polars.Float64) / 1e6
    return seconds.set(seconds < FIRST, None)  # two digits that were read as a whole year


class MomentField(Field):
    """A date or time. formats: how it is written, the commonest first. parts: what of `PARTS` varies."""

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
        self.formats, self.parts = list(formats), [part for part in PARTS if part in parts]
        self.scales = {part: Scale() for part in ("", *self.parts)}

    def config(self) -> dict[str, Any]:
        """Formats and parts too."""
        return {**super().config(), "formats": self.formats, "parts": self.parts}

    def read(self, series: polars.Series) -> np.ndarray:
        """Return seconds since 1970; NaN for what has none of the formats."""
        import polars

        found = polars.Series([None] * len(series), dtype=polars.Float64)
        for form in self.formats:
            if found.null_count():
                found = found.zip_with(found.is_not_null(), parsed(series, form))
        return found.fill_null(np.nan).to_numpy()

    def read_one(self, value: Any) -> float:
        """Return the seconds of a text or number, or of a date of Python's."""
        import polars

        if is_missing(value):
            return np.nan
        if isinstance(value, date):
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            return float(polars.Series([moment.replace(tzinfo=None)]).dt.epoch("us")[0]) / 1e6
        if not isinstance(value, str | int | float):
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
        form = self.formats[0] if self.formats else "%Y-%m-%d"
        if form in SERIAL:
            unit, zero = SERIAL[form]
            return str((seconds - zero) / unit)
        moment = np.datetime64("1970-01-01T00:00:00") + np.timedelta64(round(seconds), "s")
        return str(moment.astype(datetime).strftime(form.replace("%.f", "").replace("%#z", "+00:00")))

    def course(self) -> Course | None:
        """Moments from the first to the last, in years."""
        seconds, edges, shares = self.scales[""].course()
        years, between = (1970 + moments / YEAR for moments in (seconds, edges))
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
        if not all(form in SERIAL or "%" in form for form in self.formats):
            raise RunError(f"the saved formats of the column {self.name} are damaged")

    def schema(self) -> dict[str, Any]:
        """A text, or a number where moments are numbers."""
        kind = "number" if self.formats and self.formats[0] in SERIAL else "string"
        return {"type": [kind, "null"] if self.optional else kind}

    def example(self) -> Any:
        """A moment in the middle."""
        said = self._said(self.scales[""].middle)
        return float(said) if self.formats and self.formats[0] in SERIAL else said

    def summary(self, stored: np.ndarray) -> str:
        """The first and the last."""
        known = stored[np.isfinite(stored)]
        ends = (known.min(), known.max()) if len(known) else ()
        return " to ".join(str(np.datetime64(int(end), "s")).replace("T00:00:00", "") for end in ends)


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
