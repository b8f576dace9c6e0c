"""Panel: the rows of a table, whatever their order and gaps, become histories on one clock.

Rows of one table are several series where a column says which (long form); several columns of numbers are measured
together (wide form). What was repaired is said.

Shapes: N rows, T steps, F columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, DataError, unknown
from engram.core.evidence import Finding
from engram.core.units import agreeing
from engram.data.moments import Moments, called_like_times, moments
from engram.data.series.frequency import clock_of
from engram.data.source.fingerprint import digest
from engram.data.source.rows import as_names, take
from engram.data.table import Column, Table
from engram.features._clock import Clock
from engram.features.series import TEST, TRAIN, UNUSED, VAL, History, Series

SHARE = 0.1
"""Of the steps, for validation, and as many for the test; two horizons each at least, where there is room."""

MOST_TWICE = 0.05
"""Of the rows, so many may have the time of another; from more on, a column is looked for that tells series apart."""

MOST_LATE, SHOWN = 0.05, 3

LOOKED_AT = 10_000
"""Rows by which a large table is told to be no series."""

CODES = {"train": TRAIN, "val": VAL, "test": TEST, "": UNUSED}
ID_VALUES = 0.5
"""A column that says which series has at most so many different values for its rows."""


@dataclass(frozen=True)
class Columns:
    """Which column is what. series: together they say which series a row is of."""

    time: str
    series: tuple[str, ...]
    targets: tuple[str, ...]
    others: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """All columns of numbers, in the order in which histories hold them."""
        return (*self.targets, *self.others, *self.known)


def histories(
    table: Table, *, target: Any = None, inputs: Any = None, wishes: Mapping[str, Any], fitted: Series | None = None
) -> Table:
    """Return the table of one row per series, in the one column "series".

    target: columns to forecast (all numbers where none is named). inputs: further columns, of which only the past is
    known. wishes: "time", "series" and "known" name columns, "horizon" is what splits leave room for. fitted: of an
    earlier run, whose columns and clock are then looked for; without a given split all steps are for the test.
    """
    wished = fitted.time if fitted else wishes.get("time")
    time_name, when = _time_column(table, wished, used=[*as_names(target), *_listed(wishes.get("known"))])
    notes, findings = [f"Times are the column {time_name}, read as {when.said}."], []
    there = np.ones(len(table), bool) if when.counted else ~np.isnat(when.time)
    if not there.all():
        findings.append(_left_out(~there, time_name))
    rows = np.flatnonzero(there)
    columns = _columns(table, time_name, when, rows, target=target, inputs=inputs, wishes=wishes, fitted=fitted)
    notes += _said(table, columns)
    clock = fitted.clock if fitted else clock_of(when, np.unique(when.time[rows]), origin=table.origin)
    which = _series_numbers(table, columns.series, rows)
    step = clock.step(when.time[rows])
    notes += _out_of_order(which, step)
    values = _numbers(table, columns.numbers)[rows]
    part = None if table.split is None else np.array([CODES[name] for name in np.asarray(table.split)[rows]], np.int8)
    named = _series_names(table, columns.series, rows, which, targets=columns.targets)
    made, more = _made(named, which, step, values, part, columns, clock)
    notes += more
    if part is None and fitted is None:
        notes += _split_by_time(made, clock, horizon=wishes.get("horizon"))
    elif part is not None and fitted is None:
        _with_validation(made, clock, horizon=wishes.get("horizon"))
    said = f"Steps are of one {clock.name}." if clock.name[:1].isalpha() else f"Steps are of {clock.name}."
    seen = digest(table.fingerprint, "series", repr(columns), repr(clock), repr(wishes.get("horizon")))
    column = Column("series", made, "series", seen)
    if fitted is None:
        notes.append(_reach(column, clock, wishes))
    return replace(
        table, columns={"series": column}, fingerprint=seen, split=None, group=None, position=None,
        notes=[*table.notes, notes[0], said, *notes[1:]], findings=[*table.findings, *findings],
    )  # fmt: skip


def _reach(column: Column, clock: Clock, wishes: Mapping[str, Any]) -> str:
    """How far ahead and back is looked, and who said so."""
    feature = Series.survey(column, **{name: wishes.get(name) for name in ("horizon", "lookback")})
    assert isinstance(feature, Series)
    asked = {name: "as asked" if wishes.get(name) else f"--{name} changes it" for name in ("horizon", "lookback")}
    return (
        f"The horizon is {feature.horizon} steps of one {clock.name} ({asked['horizon']}), the lookback "
        f"{feature.lookback} ({asked['lookback']})."
    )


def looks_like_series(table: Table) -> str:
    """Say why a table is a series that goes by a clock: a column called and written as times, with regular steps, and
    otherwise numbers only, none of which is named as the target beside others. "" where it is none."""
    named = [name for name in table.columns if called_like_times(name)]
    others = [column for name, column in table.columns.items() if name not in named[:1]]
    if table.targets and {column.name for column in others} != set(table.targets):
        return ""  # a number beside others, which may tell it
    if not named or not others or any(column.kind != "number" for column in others):
        return ""
    if len(table) > LOOKED_AT and not looks_like_series(take(table, np.arange(LOOKED_AT))):
        return ""
    try:
        when = moments(table.columns[named[0]].values, name=named[0])
        if when is None or when.counted or np.isnat(when.time).any() or len(table) < 20:
            return ""
        distinct = np.unique(when.time)
        if len(distinct) < (1 - MOST_TWICE) * len(table):
            return ""
        clock = clock_of(when, distinct, origin=table.origin)
    except DataError:
        return ""
    return f"the column {named[0]} goes by {clock.name}, and all other columns are numbers"


def _listed(names: Any) -> list[str]:
    """Names as the command line or Python give them: one, several, or joined by commas."""
    return [part.strip() for name in as_names(names) for part in name.split(",") if part.strip()]


def _known_names(table: Table, names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in table.columns:
            raise unknown("column", name, table.columns)
    return names


def _time_column(table: Table, wished: Any, *, used: Sequence[str]) -> tuple[str, Moments]:
    """The column of times: the one wished for, or the one that is called and written so."""
    if wished:
        (name,) = _known_names(table, _listed(wished))
        read = moments(table.columns[name].values, name="time")
        if read is None:
            example = next((value for value in table.columns[name].values if value is not None), None)
            raise DataError(
                f"expected times in {name}; {example!r} is none that is known. Write times as YYYY-MM-DD HH:MM:SS."
            )
        return name, read
    candidates = [name for name in table.columns if name not in used and not table.columns[name].lazy]
    candidates.sort(key=lambda name: not called_like_times(name))  # stable: those that are called so come first
    found = []
    for name in candidates:
        read = moments(table.columns[name].values, name=name)
        if read is not None:
            found.append((name, read))
    certain = [one for one in found if called_like_times(one[0]) and not one[1].counted] or [
        one for one in found if not one[1].counted
    ]
    found = certain or found
    if not found:
        raise DataError(
            f"expected a column of times; {table.origin} has none among {', '.join(table.columns)}. Write them as "
            "YYYY-MM-DD HH:MM:SS, or name the column with --time COLUMN."
        )
    if len(found) > 1:
        either = " or ".join(f"--time {name}" for name, _ in found[:3])
        raise ConfigError(f"expected one column of times; {table.origin} has {len(found)}. Say which: {either}.")
    return found[0]


def _left_out(out: np.ndarray, name: str) -> Finding:
    where = tuple(f"{name}[{row}]" for row in np.flatnonzero(out)[:20])
    said = f"{out.sum():,} of {len(out):,} rows have no time and were left out"
    return Finding("warning", "missing_time", said, where, "fill them in to use these rows")


def _columns(
    table: Table,
    time_name: str,
    when: Moments,
    rows: np.ndarray,
    *,
    target: Any,
    inputs: Any,
    wishes: Mapping[str, Any],
    fitted: Series | None,
) -> Columns:
    """Decide which column is what."""
    targets = list(_known_names(table, fitted.targets if fitted else as_names(target)))
    others = list(_known_names(table, fitted.others if fitted else as_names(inputs)))
    known = list(_known_names(table, fitted.known if fitted else _listed(wishes.get("known"))))
    used = {time_name, *targets, *others, *known}
    wished = fitted.series if fitted else _listed(wishes.get("series"))
    series = _known_names(table, wished) or _series_columns(table, when, rows, used)
    free = [n for n, c in table.columns.items() if c.kind == "number" and n not in used and n not in series]
    if not targets:
        targets = free
    elif not others and not fitted:
        others = [name for name in free if name not in targets]
    if not targets:
        kinds = ", ".join(f"{name} ({column.kind})" for name, column in table.columns.items())
        raise DataError(f"expected a column of numbers to forecast; {table.origin} has {kinds}. Name it with --target.")
    for name in (*targets, *others, *known):
        if table.columns[name].kind != "number":
            raise DataError(f"expected numbers in {name}; it holds {table.columns[name].kind}. Write numbers alone.")
    return Columns(time_name, tuple(series), tuple(targets), tuple(others), tuple(known))


def _series_columns(table: Table, when: Moments, rows: np.ndarray, used: set[str]) -> Sequence[str]:
    """The columns that say which series a row is of, where times recur: one, or two together."""
    twice = len(rows) - len(np.unique(when.time[rows]))
    if twice <= MOST_TWICE * len(rows):
        return ()
    able = [n for n, c in table.columns.items() if n not in used and c.kind in ("text", "number") and not c.lazy]
    texts = [name for name in able if table.columns[name].kind == "text"]
    able = sorted(able, key=lambda name: name not in texts)
    for size in (1, 2):
        for names in combinations(able, size):
            which = _series_numbers(table, names, rows)
            if which.max() + 1 > ID_VALUES * len(rows):
                continue
            pairs = np.unique(np.stack([which, when.time[rows].astype(np.int64)]), axis=1).shape[1]
            if len(rows) - pairs <= MOST_TWICE * len(rows) and (size == 2 or _repeats(which, when.time[rows])):
                return names
    raise DataError(
        f"expected one row for each time; in {table.origin} {twice:,} of {len(rows):,} rows have that of another, and "
        "no column says which series they are of. Name it with --series COLUMN, or sum the rows of each time first."
    )


def _repeats(which: np.ndarray, time: np.ndarray) -> bool:
    """Whether series have several times each."""
    return len(which) >= 3 * (which.max() + 1)


def _series_numbers(table: Table, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """The number (N,) of each row's series."""
    which = np.zeros(len(rows), np.int64)
    for name in names:
        values = table.columns[name].values
        _, codes = np.unique([_written(values[row]) for row in rows], return_inverse=True)
        _, which = np.unique(np.stack([which, codes.reshape(-1)]), axis=1, return_inverse=True)
        which = which.reshape(-1)
    return which


def _series_names(
    table: Table, names: Sequence[str], rows: np.ndarray, which: np.ndarray, *, targets: Sequence[str]
) -> list[str]:
    """What each series is called; where there is only one, by its columns."""
    if not names:
        return [_shown(targets, most=3)]
    first = rows[np.unique(which, return_index=True)[1]]
    return [" / ".join(_written(table.columns[name].values[row]) for name in names) for row in first]


def _written(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return "" if value is None else str(int(value)) if whole else str(value)


def _numbers(table: Table, names: Sequence[str]) -> np.ndarray:
    """Values (N, F); infinities are no measurements."""
    columns = [np.array([np.nan if v is None else v for v in table.columns[name].values], np.float64) for name in names]
    values = np.stack(columns, 1)
    values[~np.isfinite(values)] = np.nan
    return values


def _said(table: Table, columns: Columns) -> list[str]:
    notes = []
    if columns.series:
        notes.append(f"Rows are told apart by {' and '.join(columns.series)}.")
    notes.append(f"What is forecast: {_shown(columns.targets)}.")
    if columns.known:
        notes.append(f"Known in advance: {_shown(columns.known)}.")
    if columns.others:
        notes.append(f"Known of the past alone: {_shown(columns.others)}.")
    used = {columns.time, *columns.series, *columns.numbers}
    if left := [name for name in table.columns if name not in used]:
        notes.append(f"Left out, as they are no numbers: {_shown(left)}.")
    return notes


def _shown(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _out_of_order(which: np.ndarray, step: np.ndarray) -> list[str]:
    back = int(((np.diff(step) < 0) & (np.diff(which) == 0)).sum())
    return [f"Rows were sorted by time: {back:,} stood before an earlier one."] if back else []


def _made(
    names: list[str],
    which: np.ndarray,
    step: np.ndarray,
    values: np.ndarray,
    part: np.ndarray | None,
    columns: Columns,
    clock: Clock,
) -> tuple[list[History], list[str]]:
    """Put each series' rows on the clock; say what was doubled and what is missing."""
    order = np.lexsort((step, which))
    which, step, values = which[order], step[order], values[order]
    part = None if part is None else part[order]
    bounds = np.searchsorted(which, np.arange(len(names) + 1))
    roles = {name: getattr(columns, name) for name in ("targets", "others", "known", "series")}
    roles["time"] = (columns.time,)
    made, equal, different, gaps, example = [], 0, 0, 0, ""
    for number, name in enumerate(names):
        rows = slice(bounds[number], bounds[number + 1])
        own, own_values = step[rows], values[rows]
        steps, first, count = np.unique(own, return_index=True, return_counts=True)
        for place in np.flatnonzero(count > 1):
            some = own_values[first[place] : first[place] + count[place]]
            same = bool(((some == some[0]) | (np.isnan(some) & np.isnan(some[0]))).all())
            equal, different = equal + same * (count[place] - 1), different + (not same) * (count[place] - 1)
        whole = np.full((steps[-1] - steps[0] + 1, values.shape[1]), np.nan)
        whole[steps - steps[0]] = _averaged(own_values, first, count)
        lacking = len(whole) - len(steps)
        if lacking and not example:
            example = clock.written(steps[0] + np.setdiff1d(np.arange(len(whole)), steps - steps[0])[:1])[0]
        gaps += lacking
        own_part = None if part is None else _part(part[rows][first], steps, len(whole))
        made.append(History(name, int(steps[0]), whole, roles, clock, own_part))
    notes = []
    if equal:
        notes.append(f"{equal:,} rows repeat another with the same time and numbers, and count once.")
    if different:
        notes.append(f"{different:,} rows have the time of another and other numbers; the mean is taken.")
    if gaps:
        notes.append(
            f"{gaps:,} of {sum(map(len, made)):,} steps are missing (such as {example}): they are filled on the line "
            "between their neighbours, and count neither in learning nor in scores."
        )
    holes = int(sum(np.isnan(history.values[:, : len(columns.targets)]).sum() for history in made))
    if holes > gaps * len(columns.targets):
        notes.append(f"{holes - gaps * len(columns.targets):,} numbers are missing in rows, and are filled likewise.")
    return made, [agreeing(note) for note in notes]


def _averaged(values: np.ndarray, first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The mean (T, F) of the rows of each time, of those that are there."""
    if (count == 1).all():
        return values
    there = np.isfinite(values)
    totals = np.add.reduceat(np.where(there, values, 0.0), first)
    numbers = np.add.reduceat(there.astype(np.int64), first)
    return np.where(numbers > 0, totals / np.maximum(numbers, 1), np.nan)


def _part(part: np.ndarray, steps: np.ndarray, length: int) -> np.ndarray:
    """What each step is for: as its row says, in gaps as the one before."""
    place = np.searchsorted(steps - steps[0], np.arange(length), side="right") - 1
    return part[place]


def _split_by_time(made: list[History], clock: Clock, *, horizon: Any) -> list[str]:
    """Set the last tenth of the time aside for the test, the tenth before for validation, for all series at once."""
    first = min(history.start for history in made)
    stop = max(history.start + len(history) for history in made)
    aside = _aside(stop - first, clock, horizon)
    borders = stop - 2 * aside, stop - aside
    for history in made:
        step = history.start + np.arange(len(history))
        history.part = np.select([step < borders[0], step < borders[1]], [TRAIN, VAL], TEST).astype(np.int8)
    val, test = clock.written(np.array(borders))
    return [f"Learned from is what was before {val}; from then on is validation, and from {test} on the test."]


def _aside(length: int, clock: Clock, horizon: Any) -> int:
    ahead = int(horizon or clock.horizon(length))
    return max(1, round(SHARE * length), min(2 * ahead, length // 4))


def _with_validation(made: list[History], clock: Clock, *, horizon: Any) -> None:
    """Where a given split has no validation steps, take them from the end of what is learned from."""
    if any(bool(np.any(history.part == VAL)) for history in made):
        return
    for history in made:
        learned = np.flatnonzero(history.part == TRAIN)
        aside = _aside(len(learned), clock, horizon)
        assert history.part is not None
        history.part[learned[len(learned) - aside :]] = VAL
