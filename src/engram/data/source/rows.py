"""What every form of data has in common once it is a table: splits, groups, rows that must be left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, DataError, unknown
from engram.core.evidence import Finding
from engram.data.packed import Packed, distinct
from engram.data.source.fingerprint import digest
from engram.data.source.splits import SPLITS, split_named
from engram.data.table import Column, Lazy, Table
from engram.features.category import LABEL_NAMES

SPLIT_COLUMNS = ("split", "subset", "partition", "set", "usage", "phase")
"""Columns that are taken for the split without being told, if all their values name one."""

PICTURE_KINDS = ("path", "bytes", "array")
INPUT_KINDS = (*PICTURE_KINDS, "turns")
"""Kinds of columns that no target has."""

Names = str | Sequence[str] | None


def as_names(names: Names) -> list[str]:
    """Return one name, several or none as a list."""
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def arrange(table: Table, *, target: Names, inputs: Names, split: str | None, group: str | None) -> Table:
    """Set the table's split and group from its columns or file names, and drop rows that lack the target.

    ConfigError names columns that do not exist; DataError values that mean no split, and empty targets.
    """
    wanted = [*as_names(target), *as_names(inputs)]
    for name in wanted:
        if name not in table.columns:
            raise unknown("column", name, table.columns)
    table = _with_split(table, split, wanted)
    table = _with_group(table, group, wanted)
    if not len(table):
        raise DataError(f"expected rows of data; {table.origin} holds none.")
    return table if target is not None and not as_names(target) else _labelled(table, as_names(target))


def take(table: Table, rows: np.ndarray) -> Table:
    """Return the table of some rows (indices, int64)."""
    columns = {}
    for name, column in table.columns.items():
        values = _taken(column.values, rows)
        fingerprint = digest(column.fingerprint, rows.tobytes()) if column.fingerprint else ""
        columns[name] = replace(column, values=values, fingerprint=fingerprint)
    return replace(
        table,
        columns=columns,
        split=None if table.split is None else table.split[rows],
        group=None if table.group is None else table.group[rows],
        position=None if table.position is None else table.position[rows],
        fingerprint=digest(table.fingerprint, rows.tobytes()),
    )


def _taken(values: Sequence[Any], rows: np.ndarray) -> Sequence[Any]:
    if isinstance(values, Lazy | Packed):
        return values.take(rows)
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def is_input(column: Column) -> bool:
    """Tell whether a column can only be learned from, never be the target: pictures, conversations, texts of files."""
    return column.kind in INPUT_KINDS or column.lazy


def missing(column: Column) -> np.ndarray:
    """Return bool[N], True where a column has no value: None or not a number."""
    if column.lazy:
        return np.zeros(len(column), bool)
    if isinstance(column.values, Packed):
        return column.values.missing
    return np.array([value is None or (isinstance(value, float) and value != value) for value in column.values], bool)


def _with_split(table: Table, name: str | None, wanted: list[str]) -> Table:
    if name is not None and name not in table.columns:
        raise unknown("column", name, table.columns)
    if name is None and table.split is None:
        name = next((c for c in table.columns if c not in wanted and _is_split(table.columns[c])), None)
    if name is not None:
        reason = f"The column {name} gives the splits."
        table = replace(table, split=_splits(table.columns[name]), notes=[*table.notes, reason])
        table.columns = {key: column for key, column in table.columns.items() if key != name or key in wanted}
        table.fingerprint = digest(table.fingerprint, "split", name)
    if table.split is not None and set(table.split.tolist()) <= {"train", ""}:
        notes = [*table.notes, "Everything given is for training, so validation and test rows are cut from it."]
        table = replace(table, split=None, notes=notes)
    return table


def _is_split(column: Column) -> bool:
    if column.kind != "text" or column.name.lower() not in SPLIT_COLUMNS:
        return False
    values = distinct(column.values)
    return column.name.lower() == "split" or (bool(values) and all(split_named(value) for value in values))


def _splits(column: Column) -> np.ndarray:
    meaning = {value: split_named(str(value)) for value in distinct(column.values)}
    strange = sorted(str(value) for value, split in meaning.items() if split is None)
    if strange:
        raise DataError(
            f"expected the values of the split column {column.name} to be among {', '.join(SPLITS)}; "
            f"got {', '.join(repr(value) for value in strange[:5])}. "
            "Rename the values, or name another column with --split."
        )
    return np.array([meaning[value] if value is not None else "" for value in column.values], dtype="<U5")


def _with_group(table: Table, group: str | None, wanted: list[str]) -> Table:
    if group is None:
        return table
    if group in table.columns:
        column = table.columns[group]
        values = [str(value) if value is not None else f"\0{row}" for row, value in enumerate(column.values)]
        columns = {key: value for key, value in table.columns.items() if key != group or key in wanted}
        note = f"Rows with the same {group} stay on one side of a split."
    else:
        values, columns = _groups_by_pattern(table, group), table.columns
        note = f"Files for which the pattern {group} gives the same text stay on one side of a split."
    note = note[:-1] + f" ({len(set(values))} groups)."
    fingerprint = digest(table.fingerprint, "group", group)
    return replace(table, columns=columns, group=np.array(values), notes=[*table.notes, note], fingerprint=fingerprint)


def _groups_by_pattern(table: Table, pattern: str) -> list[str]:
    """Return the first group, or all, of what the pattern finds in each file's name, else in its path."""
    files = next((column for column in table.columns.values() if column.kind == "path" or column.lazy), None)
    if files is None:
        raise unknown("column", pattern, table.columns)
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ConfigError(
            f"expected a column or a regular expression over file names for --group; got {pattern!r} ({error}). "
            f"Columns: {', '.join(table.columns)}"
        ) from None
    paths = [files.where(row) for row in range(len(files))]
    found = [search(path.rpartition("/")[2]) or search(path) for path in paths]
    failed = [path for path, match in zip(paths, found, strict=True) if match is None]
    if failed:
        raise ConfigError(
            f"expected --group {pattern!r} to be a column ({', '.join(table.columns)}) or a pattern that every file "
            f"name matches; {len(failed)} of {len(paths)} do not, such as {', '.join(map(repr, failed[:3]))}. "
            "Widen the pattern."
        )
    return [match.group(1) or "" if match.re.groups else match.group() for match in found if match]


def _labelled(table: Table, target: list[str]) -> Table:
    """Drop the rows that lack every target; without a named target, where it is plain which columns it is."""
    columns = [table.columns[name] for name in target or plain_targets(table)]
    if not columns:
        return table
    lacking = np.logical_and.reduce([missing(column) for column in columns])
    if not lacking.any():
        return table
    names = ", ".join(column.name for column in columns)
    if lacking.all():
        raise DataError(f"expected labels in {names}; no row of {table.origin} has one. Fill them in.")
    return drop(table, lacking, kind="missing_label", what=f"have no {names}", fix="fill them in to use these rows")


def drop(
    table: Table, out: np.ndarray, *, kind: str, what: str, fix: str, where: tuple[str, ...] | None = None
) -> Table:
    """Leave out the rows where `out` (bool[N]) is True, with a warning among the findings that says `where`."""
    first = next((c for c in table.columns.values() if c.kind == "path"), next(iter(table.columns.values())))
    where = where or tuple(first.where(int(row)) for row in np.flatnonzero(out)[:20])
    finding = Finding("warning", kind, f"{out.sum()} of {len(out)} rows {what} and were left out", where, fix)
    return replace(take(table, np.flatnonzero(~out)), findings=[*table.findings, finding])


def plain_targets(table: Table) -> list[str]:
    """Return the columns that can only be the target: the one that is no input, several of zeros and ones, or, in a
    table of texts, the one that is called a label.
    """
    rest = [column for column in table.columns.values() if not is_input(column)]
    if len(rest) == len(table.columns):
        named = [column.name for column in rest if column.name.strip().lower() in LABEL_NAMES]
        return named if len(named) == 1 and len(rest) > 1 else []
    return [column.name for column in rest] if len(rest) == 1 or all(is_binary(c) for c in rest) else []


def is_binary(column: Column) -> bool:
    """Tell whether a column holds zeros and ones (missing values aside), both or one of them."""
    if column.kind != "number":
        return False
    values = set(distinct(column.values))
    return bool(values) and values <= {0, 1}
