"""Moments: how people and programs write times, and what they mean; the one place where times are read.

A text is a day, perhaps a clock and a zone. Only the day is written in many forms, and a column has one or a few of
them: they are found from its texts, and kept as what `strptime` calls them. Times without a zone are taken as they are,
others brought to UTC. Numbers count from a day on, in a unit that their size tells.

Moments are microseconds since 1970 (int64), null where a text or number is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars

SECOND = 10**6
DAY = 86_400 * SECOND

SERIAL = {
    "unix": (SECOND, 0, 1e8, 5e9),
    "unix milliseconds": (1e3, 0, 1e11, 5e12),
    "unix microseconds": (1, 0, 1e14, 5e15),
    "unix nanoseconds": (1e-3, 0, 1e17, 5e18),
    "excel": (DAY, -25_569 * DAY, 10_000, 80_000),
}
"""How numbers say moments: microseconds a unit, the moment of 0, and between which numbers it is believed. Spreadsheets
count days since 1899-12-30: believed are the years 1927 to 2119."""

DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%y",
        "%m/%d/%y", "%d/%m/%y", "%m-%d-%y", "%d-%m-%y", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y",
        "%d/%b/%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%a, %d %b %Y",
        "%a %b %d %Y")  # fmt: skip
QUARTER = "%Y-quarter"
PERIODS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b %Y", "%B %Y", "%Y %b", "%Y %B", "%b-%Y", "%Y-%b", "%b-%y",
           QUARTER, "%G-W%V", "%GW%V", "%Y")  # fmt: skip
"""Months, quarters, weeks and years stand for their first day: only columns known to say times are asked for them."""

TWINS = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%m-%d-": "%d-%m-", "%d-%m-": "%m-%d-"}
"""Days before months and months before days: a column has one of them, whichever it is."""

EARLIEST = -30_000_000_000 * SECOND
"""The year 1019: an earlier day is misread, two digits as a whole year."""

MOST_FORMS = 4
SAMPLE = 1000
"""Different texts by which it is told whether texts are dates at all."""

READABLE = 0.95
"""This share of the different days of a column of dates has one of its forms."""

_REORDERED = (
    (r"^(\d{8})[T ]?(\d{2})(\d{2})(\d{2})", "${1} ${2}:${3}:${4}"),
    (r"^([A-Za-z]{3} [A-Za-z]{3} +\d{1,2}) ([\d:]{8}(?: [+-]\d{4})?) (\d{4})$", "${1} ${3} ${2}"),
)
"""Clocks without colons, and between the day and the year, as `date` and Twitter have them."""

_PARTS = (
    r"^(?P<day>.*?)(?:[T ,:]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?: ?(?P<zone>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$"
)


@dataclass(frozen=True)
class Texts:
    """Times in words, taken apart. day: texts. clock: microseconds since midnight, UTC where a zone is said; null where
    no clock shows such a time, 0 where none is said. zone: texts, null where none is said."""

    day: polars.Series
    clock: polars.Series | int = 0
    zone: polars.Series | None = None

    @classmethod
    def of(cls, texts: polars.Series) -> Texts:
        """Take texts apart."""
        texts = texts.str.strip_chars()
        for written, reordered in _REORDERED:
            texts = texts.str.replace(written, reordered)
        if not texts.str.contains(":", literal=True).any():
            return cls(texts)
        parts = texts.str.extract_groups(_PARTS).struct
        return cls(parts.field("day"), _clock(parts), parts.field("zone"))

    def read(self, form: str) -> polars.Series:
        """Moments of what has a form."""
        return _days(self.day, form) + self.clock


@dataclass(frozen=True)
class Dates:
    """How a column of texts says times. forms: of its days, the commonest first. days: the different ones. unread: of
    these, what has no such form."""

    texts: Texts
    forms: list[str]
    days: polars.Series
    unread: polars.Series

    @property
    def readable(self) -> bool:
        """Whether enough days have one of the forms."""
        return bool(self.forms) and len(self.unread) <= (1 - READABLE) * len(self.days)

    @property
    def undecided(self) -> bool:
        """Whether every day could as well be read with day and month exchanged."""
        return any(map(twin, self.forms)) and not any(map(len, self._certain()))

    @property
    def contradictory(self) -> tuple[str, str] | None:
        """A day that can only be read day first, and one that can only be read month first, if there are such."""
        certain = self._certain() if any(map(twin, self.forms)) else ()
        return (certain[0][0], certain[1][0]) if certain and all(map(len, certain)) else None

    def _certain(self) -> list[polars.Series]:
        """The days that can be read day first alone, and those that can be read month first alone."""
        form = next(filter(twin, self.forms))
        orders = sorted((form, twin(form) or form), key=lambda order: order.index("%d"))
        day_first, month_first = (_days(self.days, order).is_not_null() for order in orders)
        return [self.days.filter(day_first & ~month_first), self.days.filter(month_first & ~day_first)]

    @property
    def zones(self) -> list[str]:
        """The different zones of what is there, in order; "" is among them where some has none."""
        if self.texts.zone is None:
            return [""]
        return sorted(self.texts.zone.filter(self.texts.day.is_not_null()).fill_null("").unique().to_list())

    def read(self) -> polars.Series:
        """Moments of the texts."""
        return _first([self.texts.read(form) for form in self.forms])


def _clock(parts: Any) -> polars.Series:
    """Microseconds since midnight, as long before as the zone is ahead of UTC."""
    import polars

    hour, minute, second = (parts.field(name).cast(polars.Int64).fill_null(0) for name in ("hour", "minute", "second"))
    afternoon, halved = parts.field("half").is_in(["P", "p"]).fill_null(False), parts.field("half").is_not_null()
    possible = (minute < 60) & (second <= 60) & (halved & hour.is_between(1, 12) | ~halved & (hour <= 24))
    hour = (hour % 12 + 12 * afternoon.cast(polars.Int64)).zip_with(halved, hour)
    fraction = parts.field("fraction").fill_null("0").str.head(6).str.pad_end(6, "0").cast(polars.Int64)
    zone = parts.field("zone").str.replace("^[A-Za-z]+$", "+00").str.replace(":", "", literal=True).str.pad_end(5, "0")
    offset = (zone.str.slice(1, 2).cast(polars.Int64) * 60 + zone.str.slice(3, 2).cast(polars.Int64)).fill_null(0)
    ahead = (-offset).zip_with(zone.str.starts_with("-").fill_null(False), offset)
    return (((hour * 60 + minute - ahead) * 60 + second) * SECOND + fraction).set(~possible, None)


def read(values: polars.Series, forms: Sequence[str]) -> polars.Series:
    """Moments of texts, numbers or dates: of each the first form that it has. SERIAL ones are for all of a column."""
    import polars

    if values.dtype in (polars.Date, polars.Datetime):
        return (values.cast(polars.Datetime("us")) if values.dtype == polars.Date else values).dt.epoch("us")
    if forms[0] in SERIAL:
        unit, zero, *_ = SERIAL[forms[0]]
        return (values.cast(polars.Float64, strict=False) * unit + zero).round().cast(polars.Int64, strict=False)
    texts = Texts.of(values.cast(polars.String))
    return _first([texts.read(form) for form in forms])


def _first(readings: Sequence[polars.Series]) -> polars.Series:
    """Of each text the first moment that it was read as."""
    found, *others = readings
    for more in others:
        found = found.zip_with(found.is_not_null(), more)
    return found


def _days(days: polars.Series, form: str) -> polars.Series:
    """The moments at which days begin; of longer ones, their first day does."""
    import polars

    if form == QUARTER:
        parts = days.str.to_uppercase().str.replace(r"^Q([1-4])[- /]?(\d{4})$", "${2}Q${1}")
        found = parts.str.extract_groups(r"^(?P<year>\d{4})[- ]?Q(?P<quarter>[1-4])$").struct
        month = (found.field("quarter").cast(polars.Int64) * 3 - 2).cast(polars.String)
        days, form = found.field("year") + "-" + month, "%Y-%m"
    if form == "%Y%m%d":
        days = days.set(days.str.len_bytes() != 8, None)
    lacks, lacking = _completion(form)
    moments = (days + lacks).str.to_date(form + lacking, strict=False).cast(polars.Datetime("us")).dt.epoch("us")
    return moments if form == "%Y-%m" else moments.set(moments < EARLIEST, None)


def _completion(form: str) -> tuple[str, str]:
    """The first day of what a form says, and its form."""
    if "%d" in form:
        return "", ""
    if "%V" in form:
        return " 1", " %u"
    return (" 01", " %d") if any(month in form for month in ("%m", "%b", "%B")) else (" 01 01", " %m %d")


def dates_of(values: polars.Series, forms: Sequence[str] = DAYS) -> Dates:
    """Find how texts say times. They are looked through only where some of them seem to be times."""
    some = _chosen(Texts.of(values.drop_nulls().head(100 * SAMPLE).unique(maintain_order=True).head(SAMPLE)), forms)
    if not some.forms:
        return some
    return _chosen(Texts.of(values), list(dict.fromkeys(one for f in some.forms for one in (f, twin(f)) if one)))


def _chosen(texts: Texts, left: Sequence[str]) -> Dates:
    """The forms that read most, day and month in one order in all of them."""
    days = texts.day.drop_nulls().unique(maintain_order=True)
    rest, found = days, list[str]()
    while len(rest) and left and len(found) < MOST_FORMS:
        reads = {form: _days(rest, form).is_not_null() for form in left}
        best = max(reads, key=lambda form: int(reads[form].sum()))
        if not reads[best].any():
            break
        rest = rest.filter(~reads[best])
        found.append(best)
        left = [form for form in left if reads[form].any() and form != best and _same_order(form, best)]
    return Dates(texts, found, days, rest)


def twin(form: str) -> str | None:
    """The same form with day and month exchanged; None where they cannot be mistaken."""
    return next((form.replace(one, other) for one, other in TWINS.items() if one in form), None)


def _same_order(form: str, other: str) -> bool:
    """Whether two forms have day and month in the same order, if they can be mistaken."""
    if twin(form) is None or twin(other) is None:
        return True
    return (form.index("%d") < form.index("%m")) == (other.index("%d") < other.index("%m"))


def serial(low: float, high: float) -> str | None:
    """How numbers from low to high say moments, if they say any."""
    return next((form for form, (_, _, least, most) in SERIAL.items() if least <= low and high <= most), None)


def written(moment: int, form: str) -> str:
    """A moment as a form writes it, with the clock where it is not midnight."""
    if form in SERIAL:
        unit, zero, *_ = SERIAL[form]
        return str((moment - zero) / unit)
    time = np.datetime64(moment, "us").astype("datetime64[s]")
    day = f"{time.astype('datetime64[Y]')}-Q{1 + time.astype('datetime64[M]').astype(int) % 12 // 3}"
    said = day if form == QUARTER else str(time.astype(datetime).strftime(form))
    return said if moment % DAY == 0 else f"{said} {str(time)[11:]}"
