"""Clocks: the regular steps in which something is measured, what they say of its seasons, and how times are written.

A time is the number of a step, counted from the clock's own zero, so that times of one clock are always regular.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core.errors import RunError

UNITS = ("microsecond", "workday", "month", "step")
"""step: rows that are only counted."""

SECOND = 1_000_000
HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND
YEAR = 365.25 * DAY
CYCLES = {"day": DAY, "week": 7 * DAY, "year": YEAR}
NAMES = {1: "microsecond", 1_000: "millisecond", SECOND: "second", 60 * SECOND: "minute", HOUR: "hour", DAY: "day"}
NAMES |= {7 * DAY: "week"}
MONTHS = {1: "month", 3: "quarter", 12: "year"}

HORIZONS = {"year": 6, "quarter": 8, "month": 18, "week": 13, "day": 14, "workday": 14, "hour": 48}
"""Steps that people usually look ahead (those of the M4 competition); 48 for others."""


@dataclass(frozen=True)
class Clock:
    """Steps of `every` units. phase: where within a step the stamps stand.

    For microseconds and months it is the rest of a division: microseconds since 1970 by `every`, months since 1970 by
    `every`. day: of the month on which months are stamped, 31 for the last.
    """

    unit: str = "step"
    every: int = 1
    phase: int = 0
    day: int = 1

    def __post_init__(self) -> None:
        if self.unit not in UNITS or not 1 <= self.every < 2**62 or not 1 <= self.day <= 31:
            raise RunError(f"expected a clock of {', '.join(UNITS)}; got {self.every} x {self.unit}, day {self.day}")

    @property
    def name(self) -> str:
        """What one step is called: "hour", "15 minutes"."""
        if self.unit in ("workday", "step"):
            return self.unit
        names = MONTHS if self.unit == "month" else NAMES
        largest = max(size for size in names if self.every % size == 0)
        number = self.every // largest
        return names[largest] if number == 1 else f"{number} {names[largest]}s"

    def step(self, time: np.ndarray) -> np.ndarray:
        """Numbers of the steps in which times (datetime64, or whole numbers) lie, rounded to the nearest."""
        if self.unit == "step":
            return (np.asarray(time, np.int64) - self.phase) // self.every
        if self.unit == "workday":
            return np.busday_count(np.datetime64("1970-01-01"), time.astype("datetime64[D]")).astype(np.int64)
        if self.unit == "month":
            return (time.astype("datetime64[M]").astype(np.int64) - self.phase) // self.every
        since = time.astype("datetime64[us]").astype(np.int64) - self.phase
        return (since + self.every // 2) // self.every

    def time(self, step: np.ndarray) -> np.ndarray:
        """Times of steps: datetime64[us], or whole numbers."""
        count = np.asarray(step, np.int64) * self.every + self.phase
        if self.unit == "step":
            return count
        if self.unit == "workday":
            return np.busday_offset(np.datetime64("1970-01-01"), np.asarray(step, np.int64)).astype("datetime64[us]")
        if self.unit == "month":
            month = count.astype("datetime64[M]")
            last = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
            return (month.astype("datetime64[D]") + np.minimum(self.day, last) - 1).astype("datetime64[us]")
        return count.astype("datetime64[us]")

    def written(self, step: np.ndarray) -> list[str]:
        """Times as people write them, no finer than the clock is."""
        time = self.time(np.atleast_1d(step))
        if self.unit == "step":
            return [str(number) for number in time.tolist()]
        if self.unit == "month" and self.day == 1:
            return np.datetime_as_string(time, unit="Y" if self.every % 12 == 0 else "M").tolist()
        whole = self.unit != "microsecond" or (self.every % DAY == 0 and self.phase % DAY == 0)
        unit: Any = "D" if whole else "s" if self.every % SECOND == 0 and self.phase % SECOND == 0 else "us"
        return [text.replace("T", " ") for text in np.datetime_as_string(time, unit=unit).tolist()]

    def per(self, cycle: str) -> float:
        """Steps in a day, week or year; 0 where the clock has no such cycle."""
        if self.unit == "workday":
            return {"day": 0.0, "week": 5.0, "year": 261.0}[cycle]
        if self.unit == "month":
            return 12 / self.every if cycle == "year" else 0.0
        return CYCLES[cycle] / self.every if self.unit == "microsecond" else 0.0

    def seasons(self) -> list[int]:
        """Lengths in steps of the cycles that have at least two steps."""
        return [round(self.per(cycle)) for cycle in CYCLES if self.per(cycle) >= 2]

    def cycles(self, steps: int, *, beyond: int) -> list[str]:
        """The cycles that so many steps show often enough for their course to be learned, and `beyond` steps do not."""
        return [cycle for cycle in CYCLES if max(2, beyond) < self.per(cycle) <= steps / 3]

    def calendar(self, step: np.ndarray, cycles: list[str]) -> np.ndarray:
        """Where in each cycle steps stand, as two harmonics: float32 (N, 4 x cycles)."""
        count = np.asarray(step, np.float64)
        angles = [2 * math.pi * count / self.per(cycle) * harmonic for cycle in cycles for harmonic in (1, 2)]
        found = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.stack(found, 1).astype(np.float32) if found else np.zeros((len(count), 0), np.float32)

    def horizon(self, length: int) -> int:
        """How far to look ahead where nobody says: what is usual, at most a twelfth of the length."""
        return max(1, min(HORIZONS.get(self.name, 48), length // 12))
