"""Columns of times: read by evidence from the whole column (`engram.features._moments`), for series and interactions.

A series needs one clock, and refuses what could mean two things: where day and month could be exchanged, a number above
12 decides, then dots, then which of the two readings makes regular steps. Interactions need the order of times alone;
what may have disturbed it is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.packed import Packed
from engram.features._moments import DAYS, PERIODS, QUARTER, SECOND, SERIAL, Dates, dates_of, read, serial, twin

if TYPE_CHECKING:
    import polars

NAMES = re.compile(
    r"(^|[_\W])(date|time|datetime|timestamp|ts|ds|day|week|month|quarter|year|hour|period|step|t|index)(?=$|[_\W\d])|"
    r"(date|time|stamp)$",
    re.IGNORECASE,
)
"""What columns of times are called."""

ENOUGH = 0.98
"""Of the different days of a series, so much has to be read."""

EVEN = 0.6, 0.7
"""Of the steps, so many are equal by the right reading of days and months; by the other one, this share of these."""

YEARS, YYYYMMDD = (1000, 2500), (19_000_101, 21_001_231)


@dataclass(frozen=True)
class Moments:
    """time: datetime64[us] with NaT where a row says none, or int64 where rows are only counted. said: how it was read.

    counted: whether it is only counted, so that nothing is known of calendars.
    """

    time: np.ndarray
    said: str
    counted: bool = False


def called_like_times(name: str) -> bool:
    """Whether a column is called like one of times."""
    return NAMES.search(name.strip()) is not None


def moments(values: Sequence[Any] | np.ndarray, *, name: str) -> Moments | None:
    """Read a column as the times of series; None where it holds none. DataError where they could mean two things."""
    import polars

    series = _series(values)
    if series.null_count() == len(series):
        return None
    if series.dtype.is_temporal():
        return _made(read(series, ()), "dates")
    if series.dtype.is_numeric():
        return _of_numbers(series, named=called_like_times(name))
    return _of_texts(series, name) if series.dtype == polars.String else None


def _series(values: Sequence[Any] | np.ndarray) -> polars.Series:
    """The values as a series, missing ones null and spaces around texts gone."""
    import polars

    if isinstance(values, Packed):
        series = values.series
    else:
        given = values if isinstance(values, np.ndarray) else [v.item() if hasattr(v, "item") else v for v in values]
        series = polars.Series(given, strict=False)
    if series.dtype == polars.String:
        series = series.str.strip_chars()
        return series.set(series == "", None)
    return series.fill_nan(None) if series.dtype.is_float() else series


def _made(moments: polars.Series, said: str) -> Moments:
    return Moments(moments.fill_null(np.iinfo(np.int64).min).to_numpy().astype("datetime64[us]"), said)


def _of_numbers(series: polars.Series, *, named: bool) -> Moments | None:
    import polars

    known = series.drop_nulls().cast(polars.Float64).to_numpy()
    low, high, whole = known.min(), known.max(), bool((known == np.floor(known)).all())
    form = serial(low, high) if np.isfinite(known).all() else None
    if form and form != "excel" and (named or len(np.unique(known)) > len(known) / 2):
        return _made(read(series, [form]), f"{form} time")
    if not named:
        return None
    for (least, most), written, said in ((YYYYMMDD, "%Y%m%d", "written as YYYYMMDD"), (YEARS, "%Y", "years")):
        if whole and least <= low and high <= most:
            read_as = read(series.cast(polars.Int64).cast(polars.String), [written])
            if read_as.null_count() == series.null_count():
                return _made(read_as, said)
    if form:
        return _made(read(series, [form]), "days as spreadsheets count them")
    if whole and len(known) == len(series):
        return Moments(known.astype(np.int64), "whole numbers, which count steps", counted=True)
    return None


def _of_texts(texts: polars.Series, name: str) -> Moments | None:
    dates = dates_of(texts, (*DAYS, *PERIODS))
    if dates.contradictory:
        one, other = dates.contradictory
        raise DataError(
            f"expected dates of one kind in {name}; {one} can only be day first, and {other} only month first. "
            "Write them as YYYY-MM-DD."
        )
    if not dates.readable or len(dates.unread) > (1 - ENOUGH) * len(dates.days):
        return None
    zones = _one_zone(dates.zones, name)
    said = " and ".join(dict.fromkeys(map(_written, dates.forms)))
    if dates.undecided:
        dates, said = _regular(dates, name)
    return _made(dates.read(), said + zones)


def _written(form: str) -> str:
    """How a form writes days."""
    if form in PERIODS:
        held = (("quarters", form == QUARTER), ("weeks of the year", "%V" in form), ("years", form == "%Y"))
        return next((said for said, here in held if here), "months")
    if "%b" in form.lower():
        return "with names of months"
    return {"%Y": "written year first", "%d": "day first", "%m": "month first"}[form[:2]]


def _one_zone(zones: list[str], name: str) -> str:
    """What to say of zones; DataError where some times have one and others none."""
    given = [zone for zone in zones if zone]
    if given and len(given) < len(zones):
        raise DataError(
            f"expected times with a zone, or without, in {name}; some have none, others have {', '.join(given[:3])}. "
            "Write all in one way."
        )
    return f", brought from {' and '.join(given[:3])} to UTC" if set(given) - {"Z", "z", "UTC", "GMT"} else ""


def _regular(dates: Dates, name: str) -> tuple[Dates, str]:
    """The order of day and month that makes regular steps, and how to say so; DataError where neither does."""
    orders = [Dates(dates.texts, [twin(f) or f for f in dates.forms], dates.days, dates.unread), dates]
    (worse, _), (better, best) = sorted(((_evenness(one.read()), one) for one in orders), key=lambda pair: pair[0])
    if better < EVEN[0] or worse > EVEN[1] * better:
        raise DataError(
            f"expected dates that say which is the day and which the month; in {name} every number is 12 or less "
            f"(such as {dates.days[0]}), and both readings are as regular. Write them as YYYY-MM-DD."
        )
    return best, f"{_written(best.forms[0])}, which makes the steps regular"


def _evenness(moments: polars.Series) -> float:
    """Share of the steps, in the order of time, that are the commonest one."""
    times = moments.drop_nulls().unique().sort()
    steps = times.diff().drop_nulls().value_counts()["count"]
    return max(steps.to_list(), default=0) / max(len(times), 1)


def seconds(values: Sequence[Any] | np.ndarray, name: str) -> tuple[np.ndarray, list[Finding]]:
    """Return seconds since 1970 (float64, NaN for what is no time) and what was odd about the times of interactions.

    Numbers that are no such seconds, or parts of them, keep their order and so serve as well.
    """
    import polars

    series = _series(values)
    if not series.dtype.is_temporal() and not series.dtype.is_numeric():
        numbers = series.cast(polars.Float64, strict=False)
        if numbers.null_count() > series.null_count():
            dates = dates_of(series.cast(polars.String), (*DAYS, *PERIODS))
            return _seconds(dates.read() if dates.forms else numbers * 0), _odd_dates(dates, name)
        series = numbers
    if series.dtype.is_temporal():
        return _seconds(read(series, ())), []
    return _counted(series.cast(polars.Float64).fill_null(np.nan).to_numpy(), name)


def _seconds(moments: polars.Series) -> np.ndarray:
    found: np.ndarray = (moments / SECOND).fill_null(np.nan).to_numpy()
    return found


def _odd_dates(dates: Dates, name: str) -> list[Finding]:
    """Times of several zones, and days that could be read in two ways."""
    fix, found = "check that the order of times is right", []
    if len(set(dates.zones) - {"UTC", "GMT", "z"}) > 1:
        said = f"{name} is written in different time zones, or partly in none (taken for UTC); all were brought to UTC"
        found.append(Finding("warning", "mixed_zones", said, fix=fix))
    if dates.contradictory:
        said = f"{name} has days before months and months before days, such as {' and '.join(dates.contradictory)}"
        found.append(Finding("warning", "mixed_dates", said, fix="write them as YYYY-MM-DD"))
    elif dates.undecided:
        said = f"{name} does not tell days from months; it is read {_written(dates.forms[0])}, such as {dates.days[0]}"
        found.append(Finding("warning", "ambiguous_dates", said, fix="write them as YYYY-MM-DD if that is wrong"))
    return found


def _counted(number: np.ndarray, name: str) -> tuple[np.ndarray, list[Finding]]:
    """Numbers since 1970, in the unit that the size of each tells."""
    result, units, left = number.copy(), [], np.isfinite(number)
    for unit in ("nanoseconds", "microseconds", "milliseconds"):
        size, _, least, _ = SERIAL[f"unix {unit}"]
        here = left & (np.abs(number) >= least)
        if here.any():
            result[here] *= size / SECOND
            units.append(unit)
        left &= ~here
    if units and (left & (number > SERIAL["unix"][2])).any():
        said = f"{name} is written in seconds and in {' and '.join(units)}; all were brought to seconds"
        return result, [Finding("warning", "mixed_units", said, fix="check that the order of times is right")]
    return result, []
