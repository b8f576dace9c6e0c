"""Frequency: the clock that a series' times go by, found from the steps between them."""

from __future__ import annotations

import numpy as np

from engram.core.errors import DataError
from engram.data.moments import Moments
from engram.features._clock import DAY, HOUR, SECOND, Clock

ON_TIME = 0.1
"""A stamp this share of a step away from the clock's is still on time."""

LATE = 0.05
"""Of the stamps, so many may be out of step before the times are called irregular."""

MOST_GAPS = 4.0
"""So many times as long as its rows a regular series may be: else most of it would be made up."""


def clock_of(moments: Moments, distinct: np.ndarray, *, origin: str) -> Clock:
    """Return the clock of some different times in order. DataError where no step suits them."""
    if len(distinct) < 3:
        raise DataError(
            f"expected at least three moments of time; {origin} has {len(distinct)}. Bring a longer series."
        )
    if moments.counted:
        steps = np.diff(distinct)
        every = int(np.gcd.reduce(steps))
        return _sparse_enough(Clock("step", every, int(distinct[0]) % every), distinct, origin)
    if (monthly := _monthly(distinct)) is not None:
        return monthly
    steps = np.diff(distinct.astype(np.int64))
    values, counts = np.unique(steps, return_counts=True)
    commonest = int(values[np.argmax(counts)])
    every = _rounded(commonest if counts.max() > len(steps) / 3 else int(np.median(steps)))
    if every == DAY and _workdays(distinct):
        return Clock("workday")
    phases = distinct.astype(np.int64) % every
    phase = int(_middle(phases, every))
    clock = Clock("microsecond", every, phase)
    off = np.abs(distinct.astype(np.int64) - clock.time(clock.step(distinct)).astype(np.int64))
    late = int((off > ON_TIME * every).sum())
    if late > LATE * len(distinct):
        raise DataError(
            f"expected regular times; in {origin} the commonest step is {clock.name} "
            f"({counts.max() / len(steps):.0%} of the steps), and {late:,} of {len(distinct):,} moments are out of it, "
            f"such as {str(distinct[int(np.argmax(off))]).replace('T', ' ')[:19]}. Sum or average them by hour or day."
        )
    return _sparse_enough(clock, distinct, origin)


def _monthly(distinct: np.ndarray) -> Clock | None:
    """Months, quarters or years: stamps on one day of the month, or on the last."""
    months = distinct.astype("datetime64[M]")
    days = (distinct.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1
    last = (months + 1).astype("datetime64[D]") - distinct.astype("datetime64[D]") == np.timedelta64(1, "D")
    number = months.astype(np.int64)
    if len(np.unique(number)) < len(number):
        return None
    if (days == days[0]).all():
        day = int(days[0])
    elif last.mean() > 1 - LATE:
        day = 31
    else:
        return None
    every = int(np.gcd.reduce(np.diff(number)))
    return Clock("month", every, int(number[0]) % every, day)


def _workdays(distinct: np.ndarray) -> bool:
    """Whether days are given for weeks, none of them on a weekend."""
    return len(distinct) > 10 and bool(np.is_busday(distinct.astype("datetime64[D]")).all())


def _rounded(step: int) -> int:
    """A step that a clock was set to: whole seconds where it is about that many, and not much less."""
    for unit in (DAY, HOUR, 60 * SECOND, SECOND):
        near = round(step / unit) * unit
        if near and abs(step - near) <= 0.01 * near:
            return near
    return max(1, step)


def _middle(phases: np.ndarray, every: int) -> int:
    """The commonest rest of the division by a step."""
    values, counts = np.unique(phases, return_counts=True)
    return int(values[np.argmax(counts)])


def _sparse_enough(clock: Clock, distinct: np.ndarray, origin: str) -> Clock:
    steps = clock.step(distinct)
    whole = int(steps[-1] - steps[0]) + 1
    if whole > MOST_GAPS * len(distinct) + 10:
        raise DataError(
            f"expected a series without long gaps; by {clock.name}, {origin} would have {whole:,} steps, of which "
            f"{len(distinct):,} are there. Sum or average it over longer steps first."
        )
    return clock
