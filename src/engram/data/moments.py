"""Times as people and programs write them, brought to seconds since 1970 (UTC)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from engram.core.evidence import Finding

UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
"""From this size on a number counts so many to the second: seconds reach 1e11 in the year 5138."""

ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%d.%m.%Y %H:%M", "%d.%m.%Y",
           "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y", "%m %d, %Y", "%Y%m%d")  # fmt: skip


def moments(values: Sequence[Any], name: str) -> tuple[np.ndarray, list[Finding]]:
    """Return seconds (float64, NaN for what is no time) and what was odd about a column of times."""
    import polars

    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return _counted(values.astype(np.float64), name)
    series = polars.Series("value", list(values), strict=False)
    if series.dtype.is_temporal():
        return series.cast(polars.Datetime("us")).dt.epoch("us").cast(polars.Float64).fill_null(
            np.nan
        ).to_numpy() / 1e6, []
    numbers = series.cast(polars.Float64, strict=False)
    if series.dtype.is_numeric() or numbers.null_count() == series.null_count():
        return _counted(numbers.fill_null(np.nan).to_numpy(), name)
    return _written(series.cast(polars.String).str.strip_chars(), name)


def _counted(number: np.ndarray, name: str) -> tuple[np.ndarray, list[Finding]]:
    """Numbers since 1970, in the unit that their size tells; small ones count something else, and keep their order."""
    found, seconds = [], number.copy()
    units = []
    left = np.isfinite(number)
    for least, divisor, unit in UNITS:
        here = left & (np.abs(number) >= least)
        if here.any():
            seconds[here] /= divisor
            units.append(unit)
        left &= ~here
    if units and (left & (number > 1e8)).any():
        said = f"{name} is written in seconds and in {' and '.join(units)}; all were brought to seconds"
        found.append(Finding("warning", "mixed_units", said, fix="check that the order of times is right"))
    return seconds, found


def _written(text: Any, name: str) -> tuple[np.ndarray, list[Finding]]:
    """Dates and times in words. Those without a zone are taken for UTC."""
    import polars

    zoned = text.str.contains(ZONE.pattern).fill_null(False) & text.str.contains(":").fill_null(False)
    found: list[Finding] = []
    with_zone = text.str.replace(r"Z$", "+0000").str.replace(r"([+-]\d\d):(\d\d)$", "${1}${2}").str.replace("T", " ")
    seconds = polars.Series([None] * len(text), dtype=polars.Float64)
    for form in ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z"):
        seconds = seconds.zip_with(seconds.is_not_null() | ~zoned, _parsed(with_zone, form, zone=True))
    for form in FORMATS:
        seconds = seconds.zip_with(seconds.is_not_null() | zoned, _parsed(text, form, zone=False))
        if seconds.null_count() == text.null_count():
            break
    offsets = with_zone.filter(zoned).str.extract(r"([+-]\d{4})$").n_unique() if zoned.any() else 0
    if offsets > 1 or (zoned.any() and not (zoned | text.is_null()).all()):
        said = f"{name} is written in different time zones, or partly in none (taken for UTC); all were brought to UTC"
        found.append(Finding("warning", "mixed_zones", said, fix="check that the order of times is right"))
    return seconds.fill_null(np.nan).to_numpy(), found


def _parsed(text: Any, form: str, *, zone: bool) -> Any:
    """Seconds by one way of writing; null for what is written otherwise."""
    import polars

    if zone:
        times = text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
    elif "%H" in form:
        times = text.str.to_datetime(form, strict=False, time_unit="us")
    else:
        times = text.str.to_date(form, strict=False).cast(polars.Datetime("us"))
    return times.dt.epoch("us").cast(polars.Float64) / 1e6
