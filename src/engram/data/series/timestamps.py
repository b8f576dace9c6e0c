"""Timestamps: what people write for a moment becomes one, by evidence from the whole column, never by a guess.

Where day and month could be exchanged, a number above 12 decides, then which of the two readings makes regular steps;
where neither does, it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from engram.core.errors import DataError

NAMES = re.compile(
    r"(^|[_\W])(date|time|datetime|timestamp|ts|ds|day|week|month|quarter|year|hour|period|step|t|index)(?=$|[_\W\d])|"
    r"(date|time|stamp)$",
    re.IGNORECASE,
)
"""What columns of times are called."""

CLOCK = r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: ?(AM|PM))?)?"
ZONE = r" ?(Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
ISO = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){CLOCK}{ZONE}", re.IGNORECASE)
PLAIN = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[T ]?(\d{2}):?(\d{2}):?(\d{2})?)?")
PARTED = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){CLOCK}{ZONE}", re.IGNORECASE)
MONTH = re.compile(r"(\d{1,4})[-/.](\d{1,2})")
YEAR = re.compile(r"(\d{4})")
MONTH_FIRST = re.compile(r"(\d{1,2})[-/.](\d{4})")
QUARTER = re.compile(r"(\d{4})[- ]?Q([1-4])|Q([1-4])[- /]?(\d{4})", re.IGNORECASE)
WEEK = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)
SPELLED = ("%b %Y", "%B %Y", "%Y %b", "%Y %B", "%b-%y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y",
           "%B %d, %Y", "%b %d %Y", "%a %b %d %H:%M:%S %Y", "%Y-%b", "%b-%Y", "%d/%b/%Y:%H:%M:%S")  # fmt: skip

EPOCH = {"s": (1e8, 5e9), "ms": (1e11, 5e12), "us": (1e14, 5e15), "ns": (1e17, 5e18)}
"""Between these, whole numbers are such parts of seconds since 1970: from 1973 to 2128."""

YEARS = (1000, 2500)
EXCEL = (20_000, 80_000)
"""Days since the end of 1899, as spreadsheets count them: from 1954 to 2119."""

ENOUGH = 0.98
"""Of what is written, so much has to be times."""


@dataclass(frozen=True)
class Moments:
    """time: datetime64[us] with NaT where a row says none, or int64 where rows are only counted. said: how it was read.

    counted: whether it is only counted, so that nothing is known of calendars.
    """

    time: np.ndarray
    said: str
    counted: bool = False


def moments(values: Sequence[Any] | np.ndarray, *, name: str) -> Moments | None:
    """Read a column as times; None where it holds none. DataError where it holds some that could mean two things."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return Moments(values.astype("datetime64[us]"), "dates")
    given = list(values)
    there = [value for value in given if value is not None and value == value]
    if not there:
        return None
    if all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in there):
        return _of_numbers(np.array([np.nan if v is None else v for v in given], np.float64), named=_is_named(name))
    if hasattr(there[0], "isoformat"):
        given = [value.isoformat() if hasattr(value, "isoformat") else value for value in given]
    return _of_texts([None if v is None else str(v).strip() or None for v in given], name=name)


def _is_named(name: str) -> bool:
    return bool(NAMES.search(name.strip()))


def _of_numbers(values: np.ndarray, *, named: bool) -> Moments | None:
    known = values[np.isfinite(values)]
    low, high, whole = known.min(), known.max(), bool((known == np.floor(known)).all())
    for unit, (least, most) in EPOCH.items():
        if least <= low and high <= most and (named or len(np.unique(known)) > len(known) / 2):
            factor = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[unit]
            return Moments(_filled_in(values, known * factor, "datetime64[us]"), f"{unit} since 1970")
    if not named:
        return None
    if whole and low >= 19_000_101 and high <= 21_001_231:
        read = _of_texts([str(int(v)) if np.isfinite(v) else None for v in values], name="")
        if read is not None:
            return read
    if whole and YEARS[0] <= low and high <= YEARS[1]:
        years = (known - 1970).astype(np.int64).astype("datetime64[Y]").astype("datetime64[us]").astype(np.int64)
        return Moments(_filled_in(values, years, "datetime64[us]"), "years")
    if EXCEL[0] <= low and high <= EXCEL[1]:
        return Moments(
            _filled_in(values, (known - 25_569) * 86_400e6, "datetime64[us]"), "days as spreadsheets count them"
        )
    if whole and len(known) == len(values):
        return Moments(values.astype(np.int64), "whole numbers, which count steps", counted=True)
    return None


def _filled_in(values: np.ndarray, known: np.ndarray, kind: str) -> np.ndarray:
    time = np.full(len(values), np.iinfo(np.int64).min, np.int64)
    time[np.isfinite(values)] = np.round(known).astype(np.int64)
    return time.astype(kind)


def _of_texts(values: list[str | None], *, name: str) -> Moments | None:
    different = list(dict.fromkeys(value for value in values if value is not None))
    looked_at = different[:: max(1, len(different) // 200)]
    form = next(
        (form for form in FORMS if sum(bool(form.fits(value)) for value in looked_at) >= ENOUGH * len(looked_at)), None
    )
    if form is None:
        return None
    read, said = form.read(different, name)
    unread = [text for text, time in read.items() if time is None]
    if len(unread) > (1 - ENOUGH) * len(different):
        return None
    never = np.datetime64("NaT", "us")
    time = np.array([never if v is None or read[v] is None else read[v] for v in values], "datetime64[us]")
    return Moments(time, said)


Read = dict[str, np.datetime64 | None]


@dataclass(frozen=True)
class Form:
    """A way of writing times. fits: whether a text is written so. read: all different texts, and how they were read."""

    fits: Callable[[str], Any]
    read: Callable[[list[str], str], tuple[Read, str]]


def _moment(
    year: int | str, month: int | str, day: int | str, rest: Sequence[str | None] = (None,) * 5, zone: str | None = None
) -> np.datetime64 | None:
    """One moment, in UTC where a zone is given; None where there is no such day or hour."""
    hour, minute, second, fraction, half = rest
    hours = int(hour or 0) % 12 + 12 * (half.upper() == "PM") if half else int(hour or 0)
    try:
        day_ = np.datetime64(f"{int(year):04d}-{int(month):02d}-{int(day):02d}", "us")
    except ValueError:
        return None
    if hours > 24 or int(minute or 0) > 59 or int(second or 0) > 60:
        return None
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    time = day_ + np.timedelta64(((hours * 60 + int(minute or 0)) * 60 + int(second or 0)) * 10**6 + micro, "us")
    return time - np.timedelta64(_offset(zone), "m")


def _offset(zone: str | None) -> int:
    if not zone or zone.upper() in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)


def _one_zone(zones: Sequence[str | None], name: str) -> str:
    """What to say of zones; DataError where some have one and others none."""
    given = {zone for zone in zones if zone}
    if given and None in zones:
        raise DataError(
            f"expected times with a zone, or without, in {name}; {sum(zone is None for zone in zones):,} of "
            f"{len(zones):,} have none, others have {', '.join(sorted(given)[:3])}. Write all in one way."
        )
    return f", brought from {' and '.join(sorted(given)[:3])} to UTC" if given - {"Z", "z", "UTC"} else ""


def _iso(values: list[str], name: str) -> tuple[Read, str]:
    found = {text: ISO.fullmatch(text) for text in values}
    zones = _one_zone([match.group(9) for match in found.values() if match], name)
    read = {
        text: _moment(match[1], match[2], match[3], match.group(4, 5, 6, 7, 8), match[9]) if match else None
        for text, match in found.items()
    }
    return read, f"written year first{zones}"


def _plain(values: list[str], name: str) -> tuple[Read, str]:
    found = {text: PLAIN.fullmatch(text) for text in values}
    return {
        text: _moment(match[1], match[2], match[3], (*match.group(4, 5, 6), None, None)) if match else None
        for text, match in found.items()
    }, "written as YYYYMMDD"


def _parted(values: list[str], name: str) -> tuple[Read, str]:
    """Day or month first: what is above 12 decides, then a dot, then regular steps."""
    found = {text: PARTED.fullmatch(text) for text in values}
    matches = [match for match in found.values() if match]
    zones = _one_zone([match.group(10) for match in matches], name)

    def read(*, day_first: bool) -> Read:
        return {text: _of_parts(match, day_first=day_first) if match else None for text, match in found.items()}

    first, second = (max(int(match.group(part)) for match in matches) for part in (1, 3))
    if first > 12 and second > 12:
        raise DataError(
            f"expected dates of one kind in {name}; {_with(matches, 1)} can only be day first, and "
            f"{_with(matches, 3)} only month first. Write them as YYYY-MM-DD."
        )
    if first > 12 or second > 12:
        said = f"{'day' if first > 12 else 'month'} first, as {_with(matches, 1 if first > 12 else 3)} says"
        return read(day_first=first > 12), said + zones
    if all(match.group(2) == "." for match in matches):
        return read(day_first=True), "day first, as dots say" + zones
    even = {order: _evenness(read(day_first=order)) for order in (True, False)}
    if max(even.values()) < 0.6 or min(even.values()) > 0.7 * max(even.values()):
        raise DataError(
            f"expected dates that say which is the day and which the month; in {name} every number is 12 or less "
            f"(such as {matches[0].group()}), and both readings are as regular. Write them as YYYY-MM-DD."
        )
    order = even[True] > even[False]
    return read(day_first=order), f"{'day' if order else 'month'} first, which makes the steps regular" + zones


def _with(matches: Sequence[re.Match[str]], part: int) -> str:
    return next(match.group() for match in matches if int(match.group(part)) > 12)


def _of_parts(match: re.Match[str], *, day_first: bool) -> np.datetime64 | None:
    day, month = (int(match.group(part)) for part in ((1, 3) if day_first else (3, 1)))
    year = int(match.group(4))
    year += (2000 if year < 70 else 1900) if year < 100 else 0
    return _moment(year, month, day, match.group(5, 6, 7, 8, 9), match.group(10))


def _evenness(read: Read) -> float:
    """Share of the steps, in the order of time, that are the commonest one."""
    times = np.sort(np.array([time for time in read.values() if time is not None], "datetime64[us]")).astype(np.int64)
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(np.unique(steps, return_counts=True)[1].max() / len(read)) if len(steps) else 0.0


def _month(values: list[str], name: str) -> tuple[Read, str]:
    found = {text: MONTH.fullmatch(text) for text in values}
    read = {
        text: _moment(int(match.group(1)), int(match.group(2)), 1) if match and int(match.group(1)) else None
        for text, match in found.items()
    }
    short = any(match and len(match.group(1)) < 4 for match in found.values())
    return read, "numbers of year and month" if short else "months"


def _year(values: list[str], name: str) -> tuple[Read, str]:
    return {text: _moment(int(text), 1, 1) if YEAR.fullmatch(text) else None for text in values}, "years"


def _month_first(values: list[str], name: str) -> tuple[Read, str]:
    found = {text: MONTH_FIRST.fullmatch(text) for text in values}
    return {
        text: _moment(int(match.group(2)), int(match.group(1)), 1) if match else None for text, match in found.items()
    }, "months"


def _quarter(values: list[str], name: str) -> tuple[Read, str]:
    def read(text: str) -> np.datetime64 | None:
        if (match := QUARTER.fullmatch(text)) is None:
            return None
        return _moment(int(match.group(1) or match.group(4)), 3 * int(match.group(2) or match.group(3)) - 2, 1)

    return {text: read(text) for text in values}, "quarters"


def _week(values: list[str], name: str) -> tuple[Read, str]:
    def read(text: str) -> np.datetime64 | None:
        match = WEEK.fullmatch(text)
        try:
            return np.datetime64(datetime.fromisocalendar(int(match[1]), int(match[2]), 1), "us") if match else None
        except ValueError:
            return None

    return {text: read(text) for text in values}, "weeks of the year"


def _spelled_form(text: str) -> str:
    for form in SPELLED:
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return form
    return ""


def _spelled(values: list[str], name: str) -> tuple[Read, str]:
    form = _spelled_form(values[0])
    read: Read = {}
    for text in values:
        try:
            read[text] = np.datetime64(datetime.strptime(text, form), "us")
        except ValueError:
            read[text] = None
    return read, "with names of months"


FORMS = (
    Form(ISO.fullmatch, _iso),
    Form(PARTED.fullmatch, _parted),
    Form(QUARTER.fullmatch, _quarter),
    Form(WEEK.fullmatch, _week),
    Form(PLAIN.fullmatch, _plain),
    Form(MONTH_FIRST.fullmatch, _month_first),
    Form(MONTH.fullmatch, _month),
    Form(YEAR.fullmatch, _year),
    Form(_spelled_form, _spelled),
)
