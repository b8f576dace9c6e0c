"""Histories as they are given from elsewhere, in JSON, and what a page needs to know to ask for one.

    {"start": "2024-03-01", "values": [20.1, null, 22.5]}   or   {"series": "north"}, whose end the run remembers

Values are numbers, or rows of numbers where there are several columns; null is a gap. Rows after the last one with
something to forecast say what is known in advance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError
from engram.features.feature import Entry

if TYPE_CHECKING:
    from engram.features.series import Series

MOST_OFFERED = 20_000
"""Numbers of remembered histories that are told to whoever asks how values are given."""

EXAMPLE = 24
"""Steps of the example."""

LARGEST = 1e17
"""Larger numbers have squares whose sums a network cannot hold."""

TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z?)?)?)?")
EARLIEST, LATEST = np.datetime64("1000-01-01"), np.datetime64("9000-01-01")
MOST_STEPS = 1e15
"""Where a clock only counts: what a first step is called, at most."""


def entry_of(series: Series) -> Entry:
    """An object, such as the end of what was learned from."""
    columns, offered, left = _columns(series), [], MOST_OFFERED
    for end in series.kept:
        if (left := left - end.values.size) < 0:
            break
        offered.append(_said(series, end.start, end.values, name=end.name))
    number: dict[str, Any] = {"type": ["number", "null"]}
    row = {"type": "array", "items": number, "minItems": len(columns), "maxItems": len(columns)}
    counted = series.clock.unit == "step"
    properties: dict[str, Any] = {
        "series": {"type": "string", "description": "One that was learned from: alone, it is gone on with."},
        "start": {"type": "integer" if counted else "string", "description": "When the first step was."},
        "values": {"type": "array", "items": row if len(columns) > 1 else number, "description": ", ".join(columns)},
    }
    return Entry(
        kind="series",
        unit="steps",
        schema={"type": "object", "properties": properties, "additionalProperties": False},
        example=_example(series),
        details={
            "columns": columns, "targets": series.targets, "step": series.clock.name, "counted": counted,
            "lookback": series.lookback, "horizon": series.horizon, "offered": offered,
        },
    )  # fmt: skip


def _columns(series: Series) -> list[str]:
    return [*series.targets, *series.others, *series.known]


def _example(series: Series) -> dict[str, Any]:
    if not series.kept:
        return _said(series, 0, np.zeros((2, len(_columns(series)))))
    end = series.kept[0]
    size = min(EXAMPLE, len(end))
    return _said(series, end.start + len(end) - size, end.values[-size:])


def _said(series: Series, start: int, values: np.ndarray, *, name: str = "") -> dict[str, Any]:
    """A history as JSON says it."""
    (time,) = series.clock.written(np.array([start]))
    rows = [[value if np.isfinite(value) else None for value in row] for row in values.tolist()]
    said = {
        "start": int(time) if series.clock.unit == "step" else time,
        "values": rows if values.shape[1] > 1 else [value for (value,) in rows],
    }
    return {"series": name, **said} if name else said


def read(series: Series, value: Any, *, most: int) -> Any:
    """Read one: (name, number of the first step, values (T, columns) or None where only the name is said)."""
    known = ("series", "start", "values")
    if not isinstance(value, Mapping) or not value or not set(value) <= set(known):
        got = ", ".join(map(str, value)) or "none" if isinstance(value, Mapping) else type(value).__name__
        raise DataError(f"expected an object with values and start, or with series; got {got}")
    name = value.get("series", "")
    if not isinstance(name, str):
        raise DataError(f"expected the name of a series; got {type(name).__name__}")
    if "values" not in value:
        return name, 0, None
    return name, _start(series, value.get("start")), _numbers(value["values"], _columns(series), most=most)


def _numbers(values: Any, columns: list[str], *, most: int) -> np.ndarray:
    """Values (T, columns), NaN where there is none."""
    if not isinstance(values, list) or not values:
        raise DataError(f"expected a list of numbers, one for each step; got {type(values).__name__}")
    if len(values) > most:
        raise DataError(f"expected at most {most:,} steps; got {len(values):,}")
    rows = [[row] for row in values] if len(columns) == 1 and not isinstance(values[0], list) else values
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns) or not all(map(_is_number, row)):
            named = ", ".join(columns)
            raise DataError(f"expected a number or null for {named} at each step; step {number} is {row!r:.60}")
    return np.array([[np.nan if one is None else float(one) for one in row] for row in rows], np.float64)


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (plain and abs(value) <= LARGEST)


def _start(series: Series, start: Any) -> int:
    """The number of the first step on the clock."""
    if series.clock.unit == "step":
        if start is not None and (type(start) is not int or abs(start) > MOST_STEPS):
            raise DataError(f"expected a whole number at start; got {start!r:.60}")
        return int(series.clock.step(np.array(start or 0)))
    try:
        if not isinstance(start, str) or not TIME.fullmatch(start):
            raise ValueError
        time = np.datetime64(start.removesuffix("Z"))
        if not EARLIEST <= time <= LATEST:
            raise ValueError
    except ValueError:
        raise DataError(f"expected a time at start, such as 2024-03-01 12:00; got {start!r:.60}") from None
    return int(series.clock.step(np.array(time)))
