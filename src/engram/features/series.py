"""Series: numbers measured at regular times, such as sales by day; one value is a whole history.

Shapes: T steps of a history, L of the lookback, H of the horizon, C columns that are forecast, U others that are known
only of the past, K that are known in advance (the calendar among them), F of all together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.evidence import Evidence
from engram.core.parts import Parts
from engram.core.wishes import Wish
from engram.features import _given_series
from engram.features._clock import Clock
from engram.features._seasons import season_of
from engram.features.feature import Arrays, Entry, Feature

if TYPE_CHECKING:
    from torch import Tensor

TRAIN, VAL, TEST, UNUSED = range(4)
"""What a step of a history is for."""

LOOKBACK = 512
"""Steps that are looked back at, at most: linear models gain up to here on hourly data, and a year of days is seen."""

LEAST_SCALE = 1e-6
MOST_KEPT = 16_000_000
"""Numbers of the ends of histories that a run keeps, to be continued."""

SHOWN = 5


@dataclass
class History:
    """One series: what was measured, and when.

    name: which one. start: the first step's number on the clock. values: (T, C + U + K without the calendar), NaN
    where nothing was measured. roles, clock: which columns are targets, others and known, and how steps are counted;
    the same for all of a table. part: (T,) what each step is for; None: nothing is said.
    """

    name: str
    start: int
    values: np.ndarray
    roles: Mapping[str, Sequence[str]]
    clock: Clock
    part: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)


class Series(Feature):
    """Histories, and the windows of them that networks see.

    targets, others, known: columns to forecast, further ones, and those known in advance; time, series: those that say
    when and of what. unit, every, phase, day: the clock's. cycles: of the calendar, that are told to networks. horizon,
    lookback: steps ahead and back.
    """

    takes = "table"
    wishes = (
        Wish("horizon", "steps to forecast of a series (default: what is usual for its clock)", kind=int, metavar="N"),
        Wish("lookback", "steps that a forecast looks back at (default: up to 512)", kind=int, metavar="N"),
        Wish("time", "column of a series' times (default: found by name and values)", metavar="COLUMN"),
        Wish("series", "column that says which series a row is of", several=True, metavar="COLUMN"),
        Wish("known", "column of a series that is known in advance, such as prices", several=True, metavar="COLUMN"),
    )

    thing = "series"

    def __init__(
        self,
        *,
        targets: Sequence[str] = ("value",),
        others: Sequence[str] = (),
        known: Sequence[str] = (),
        time: str = "",
        series: Sequence[str] = (),
        unit: str = "step",
        every: int = 1,
        phase: int = 0,
        day: int = 1,
        cycles: Sequence[str] = (),
        horizon: int = 1,
        lookback: int = 1,
    ) -> None:
        self.targets, self.others, self.known = list(targets), list(others), list(known)
        self.time, self.series = time, list(series)
        self.clock = Clock(unit, every, phase, day)
        self.cycles, self.horizon, self.lookback = list(cycles), int(horizon), int(lookback)
        if self.horizon < 1 or self.lookback < 1 or not self.targets:
            raise RunError("expected columns to forecast, and a horizon and lookback of 1 or more")
        self.season = 1
        self.names: list[str] = []
        self.scale = np.ones((1, 1, len(self.targets)))
        self.kept: list[History] = []

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Histories alone; a table's rows become some by the task."""
        if column.kind != "series":
            return Evidence(0.0, f"its values are of kind {column.kind}")
        first = column.values[0]
        return Evidence(
            0.9, f"{len(column):,} series by {first.clock.name}, columns forecast: {len(first.roles['targets'])}"
        )

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> Feature:
        """Take clock and columns from the histories; horizon and lookback where nobody wishes others."""
        first = column.values[0]
        longest = max(map(len, column.values))
        learned = max(map(_learned, column.values))
        horizon = int(wishes.get("horizon") or first.clock.horizon(longest))
        lookback = int(wishes.get("lookback") or max(1, min(LOOKBACK, learned // 3)))
        roles: dict[str, Any] = {n: list(first.roles.get(n, ())) for n in ("targets", "others", "known", "series")}
        return cls(
            **roles,
            time="".join(first.roles.get("time", ())),
            **{name: getattr(first.clock, name) for name in ("unit", "every", "phase", "day")},
            cycles=first.clock.cycles(learned, beyond=lookback),  # what can be seen need not be told
            horizon=horizon,
            lookback=lookback,
        )

    def config(self) -> dict[str, Any]:
        """Columns, clock, horizon and lookback."""
        clock = {name: getattr(self.clock, name) for name in ("unit", "every", "phase", "day")}
        columns = {name: getattr(self, name) for name in ("targets", "others", "known", "time", "series")}
        return {**columns, **clock, "cycles": self.cycles, "horizon": self.horizon, "lookback": self.lookback}

    @property
    def shape(self) -> tuple[int, int]:
        """Of a window: lookback and horizon, columns."""
        return self.lookback + self.horizon, self.num_given + self.num_known

    @property
    def num_given(self) -> int:
        """Columns of which only the past is known."""
        return len(self.targets) + len(self.others)

    @property
    def num_known(self) -> int:
        """Columns that are known in advance, the calendar's too."""
        return len(self.known) + 4 * len(self.cycles)

    def store(self, value: Any) -> dict[str, Any]:
        """Fill what is missing, and remember what was.

        Returns "values" (T, F without the calendar), "observed" (T, C), "part" (T,), "start" and "called". What comes
        after the last step with a target is kept only where something is known of it. DataError where nothing was
        measured, or what came is no history: a `History`, or numbers (T, C).
        """
        history = value if isinstance(value, History) else self._of_array(value)
        observed = np.isfinite(history.values[:, : len(self.targets)])
        if not observed.any():
            raise DataError(f"expected measurements; the series {history.name or '(the only one)'} has none")
        last = int(np.flatnonzero(observed.any(1))[-1]) + 1
        size = len(history) if self.known else last
        part = np.full(len(history), TEST, np.int8) if history.part is None else history.part
        return {
            "values": filled(history.values[:size], history.name),
            "observed": observed[:size],
            "part": part[:size].astype(np.int8),
            "start": np.array(history.start, np.int64),
            "called": history.name,
        }

    def _of_array(self, value: Any) -> History:
        try:
            numbers = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            numbers = np.zeros(())
        numbers = numbers[:, None] if numbers.ndim == 1 and self.num_given + len(self.known) == 1 else numbers
        if numbers.ndim != 2 or numbers.shape[1] != self.num_given + len(self.known) or not len(numbers):
            columns = ", ".join([*self.targets, *self.others, *self.known])
            raise DataError(
                f"expected a history: numbers (steps, columns), of the columns {columns}; got {value!r:.60}"
            )
        return History("", 0, numbers, {}, self.clock)

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Find the season, each series' scale on the steps to learn from, and keep the ends."""
        found = [self._learned_from(stored, int(row)) for row in rows]
        self.season = season_of([values for values in found if len(values)], self.clock.seasons())
        self.names = [stored.arrays["called"][row] for row in rows]
        self.scale = np.stack([_scales(values, self.season, len(self.targets)) for values in found])
        ends = [self._end(stored, int(row)) for row in rows]
        self.kept = ends if sum(end.values.size for end in ends) <= MOST_KEPT else []

    def _learned_from(self, stored: Any, row: int) -> np.ndarray:
        """Targets (N, C) of the steps that are learned from, NaN where nothing was measured."""
        chosen = stored.arrays["part"][row] == TRAIN
        values = stored.arrays["values"][row][chosen, : len(self.targets)].astype(np.float64)
        return np.where(stored.arrays["observed"][row][chosen], values, np.nan)

    def _end(self, stored: Any, row: int) -> History:
        values, observed = stored.arrays["values"][row], stored.arrays["observed"][row]
        last = int(np.flatnonzero(observed.any(1))[-1]) + 1
        first = max(0, last - self.lookback)
        values = values.copy()
        values[last:, : self.num_given] = np.nan
        start = int(stored.arrays["start"][row]) + first
        return History(stored.arrays["called"][row], start, values[first:], {}, self.clock)

    def at_hand(self) -> list[History]:
        """The ends of the histories that were learned from."""
        return self.kept

    def entry(self) -> Entry:
        """A history in JSON, or the name of one that is remembered."""
        return _given_series.entry_of(self)

    def received(self, value: Any, *, most: int) -> History:
        """Take an object with start and values, or with the name of a series that was learned from."""
        name, start, numbers = _given_series.read(self, value, most=most)
        if numbers is not None:
            return History(name, start, numbers, {}, self.clock)
        for end in self.kept:
            if end.name == name:
                return end
        known = ", ".join(end.name for end in self.kept[:SHOWN]) or "none"
        raise DataError(f"expected values, or a series that is remembered ({known}); got {name!r:.60}")

    def scales(self, called: str, values: np.ndarray) -> np.ndarray:
        """The spread, and the mean step from season to season, (2, C) of a series; of an unknown one, its own."""
        if called in self.names:
            return self.scale[self.names.index(called)]
        return _scales(values[:, : len(self.targets)], self.season, len(self.targets))

    def given_calendar(self, values: np.ndarray, start: int) -> np.ndarray:
        """A stored history with the calendar beside it, float32 (T, F)."""
        calendar = self.clock.calendar(start + np.arange(len(values)), self.cycles)
        return np.concatenate([values.astype(np.float32), calendar], 1)

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return the last window of each history, float32 (B, L + H, F).

        Of the horizon only what is known in advance is told; the rest is 0. Where a history is shorter than the
        lookback, its first step is repeated.
        """
        import torch

        each = zip(gathered["values"], gathered["observed"], gathered["start"], strict=True)
        return torch.from_numpy(np.stack([self._last_window(*one) for one in each]))

    def _last_window(self, values: np.ndarray, observed: np.ndarray, start: Any) -> np.ndarray:
        last = int(np.flatnonzero(observed.any(1))[-1]) + 1
        place = np.arange(last - self.lookback, last + self.horizon)
        whole = self.given_calendar(values[np.clip(place, 0, len(values) - 1)], int(start) + int(place[0]))
        whole[self.lookback :, : self.num_given] = 0
        return whole

    def decode(self, encoded: Tensor) -> list[Any]:
        """Return the numbers that were looked back at, (L, columns)."""
        size = self.num_given + len(self.known)
        return list(encoded[:, : self.lookback, :size].double().numpy())

    def remembered(self, number: int) -> list[Any]:
        """The ends of some histories."""
        return self.kept[:number]

    def parts(self, gathered: Arrays) -> Parts:
        """Stretches of what was measured."""
        from engram.features._parts_of_series import parts_of

        columns = [*self.targets, *self.others]
        return parts_of(self.encode(gathered), columns=columns, lookback=self.lookback, unit="steps")

    def times_after(self, stored: Mapping[str, Any]) -> list[str]:
        """The times that a forecast from the end of a stored history is for."""
        last = int(np.flatnonzero(stored["observed"].any(1))[-1])
        return self.clock.written(int(stored["start"]) + last + 1 + np.arange(self.horizon))

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """How many, how long, from when to when."""
        rows = np.unique(rows)
        sizes = stored.sizes("values", rows)
        starts = np.array([int(stored.arrays["start"][row]) for row in rows])
        first, last = self.clock.written(np.array([starts.min(), (starts + sizes).max() - 1]))
        return {
            "series": len(rows), "columns": len(self.targets), "step": self.clock.name, "from": first, "to": last,
            "steps": int(sizes.sum()), "season": self.season, "horizon": self.horizon, "lookback": self.lookback,
        }  # fmt: skip

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Season, names and scales, and the ends of the histories."""
        values = {"season": self.season, "names": self.names, "kept": len(self.kept)}
        arrays = {"scale": self.scale}
        if self.kept:
            arrays["ends"] = np.concatenate([end.values for end in self.kept])
            arrays["sizes"] = np.array([len(end) for end in self.kept], np.int64)
            arrays["starts"] = np.array([end.start for end in self.kept], np.int64)
        return values, arrays

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take them back; RunError where they are damaged."""
        names: Any = values.get("names")
        scale: Any = arrays.get("scale")
        wrong = not isinstance(names, list) or scale is None or scale.shape != (len(names), 2, len(self.targets))
        if wrong or not isinstance(values.get("season"), int) or values["season"] < 1:
            raise RunError("the saved names and scales of series are damaged")
        self.season, self.names, self.scale = values["season"], [str(name) for name in names], scale
        self.kept = []
        if values.get("kept"):
            sizes, ends = arrays["sizes"], arrays["ends"]
            if int(sizes.sum()) != len(ends) or len(sizes) != len(names) or ends.ndim != 2:
                raise RunError("the saved ends of series are damaged")
            pieces = np.split(ends, np.cumsum(sizes)[:-1])
            kept = zip(self.names, arrays["starts"].tolist(), pieces, strict=True)
            self.kept = [History(name, start, piece, {}, self.clock) for name, start, piece in kept]


def _learned(history: History) -> int:
    """How many steps are learned from."""
    return len(history) if history.part is None else int((history.part == TRAIN).sum())


def filled(values: np.ndarray, name: str = "") -> np.ndarray:
    """Fill gaps in each column on the line between the neighbours; ends are carried on. DataError for an empty one."""
    values = np.array(values, np.float64)
    place = np.arange(len(values))
    for column in values.T:
        known = np.isfinite(column)
        if not known.any():
            raise DataError(f"expected measurements in every column; one of {name or 'the series'} has none")
        if not known.all():
            column[~known] = np.interp(place[~known], place[known], column[known])
    return values


def _scales(values: np.ndarray, season: int, columns: int) -> np.ndarray:
    """(2, C): standard deviation, and mean absolute difference from one season to the next."""
    if not len(values) or not np.isfinite(values).any():
        return np.ones((2, columns))
    with np.errstate(invalid="ignore"):
        spread = np.nan_to_num(_mean(np.square(values - _mean(values)))) ** 0.5
        steps = np.abs(values[season:] - values[:-season]) if len(values) > season else np.abs(np.diff(values, axis=0))
        step = np.nan_to_num(_mean(steps)) if len(steps) else spread
    largest = np.nan_to_num(_mean(np.abs(values)))
    least = LEAST_SCALE * np.maximum(largest, 1e-6)
    spread = np.where(spread > least, spread, np.where(largest > 0, largest, 1.0))
    return np.stack([spread, np.where(step > least, step, spread)])


def _mean(values: np.ndarray) -> np.ndarray:
    """Means (C,) of what is there."""
    there = np.isfinite(values)
    return np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1)
