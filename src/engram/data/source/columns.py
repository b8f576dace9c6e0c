"""From plain columns of values to columns of known kinds: pictures by path, text, talk, numbers, labels in one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.data.packed import Packed, distinct, packed
from engram.data.source import documents
from engram.data.source.fingerprint import digest, of_files, of_values
from engram.data.source.listing import TEXTS, Listing, listing
from engram.data.source.located import NAMES, Located, locate, looks_like_paths
from engram.data.source.rows import PICTURE_KINDS, drop, missing
from engram.data.source.turns import any_named, as_turns
from engram.data.table import Column, Table

SEPARATORS = ("|", ";", ",")
_LISTS = frozenset({"tags", "labels", "attributes", "keywords", "genres"})
"""Columns in which spaces too may separate labels."""

LOOKED_AT = 20_000
"""Texts of a packed column by which it is told whether they join labels."""


def kind_of(values: Sequence[Any]) -> str:
    """Return the kind of values (see `engram.data.table.KINDS`) from the first that is there.

    Numbers among which there is text are text.
    """
    if isinstance(values, Packed):
        return "text" if values.is_text else "number"
    value = next((value for value in values if value is not None), None)
    if _is_number(value) and any(isinstance(other, str) for other in values):
        return "text"
    if isinstance(value, bytes | bytearray):
        return "bytes"
    if isinstance(value, os.PathLike):
        return "path"
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value):
        return "names"
    if getattr(value, "ndim", 0) or hasattr(value, "getexif") or isinstance(value, list | tuple):
        return "array"
    return "number" if _is_number(value) else "text"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) or getattr(value, "ndim", None) == 0


def to_table(
    columns: Mapping[str, Sequence[Any]],
    *,
    base: str,
    origin: str,
    content: str,
    found: Listing | None = None,
    required: bool = True,
) -> Table:
    """Turn columns of values into a table, finding the pictures that text columns name.

    base: the folder relative paths start from. content: a fingerprint of the values; "" has it computed.
    found: the listing of `base`, where it is at hand. required: DataError where named pictures do not exist at all.
    """
    lists: list[Listing] = [found] if found else []

    def below() -> Listing:
        if not lists:
            lists.append(listing(base or "."))
        return lists[0]

    table = Table({}, origin, "")
    absent: list[str] = []
    for name, given in columns.items():
        kind = kind_of(given)
        kind = "text" if kind == "path" else kind
        values = packed(given, kind)
        located = locate(name, values, base, below) if kind == "text" else None
        if located:
            table.columns[name] = _path_column(name, located)
            table.notes.append(located.reason)
        else:
            table.columns[name] = _column(name, values, kind, content)
            absent += [name] if kind == "text" and looks_like_paths(values) else []
    if not any(column.kind in PICTURE_KINDS for column in table.columns.values()):
        _locate_numbers(table, base, below)
    if required and absent and not any(column.kind in PICTURE_KINDS for column in table.columns.values()):
        first = next(value for value in columns[absent[0]] if value)
        raise DataError(
            f"expected the files that the column {absent[0]} of {origin} names; none was found in or below "
            f"{base or '.'}, such as {first!r}. Put the table beside its files, or write absolute paths."
        )
    table.fingerprint = digest("table", *(f"{n}\0{c.fingerprint}" for n, c in table.columns.items()))
    return _with_texts(_without_lost_files(table, columns), base)


def _with_texts(table: Table, base: str) -> Table:
    """Open the text files that a column names, in place of their paths."""
    for name, column in table.columns.items():
        if column.kind == "path" and len(column) and TEXTS.holds(str(column.values[0])):
            files = documents.opened([str(path) for path in column.values])
            table.columns[name] = documents.column(name, documents.whole(base, files))
            table.findings += documents.findings(files, base)
    return table


def _locate_numbers(table: Table, base: str, below: Callable[[], Listing]) -> None:
    """Look for pictures that are called by number (1.png), where no text names any."""
    for name, column in table.columns.items():
        if column.kind == "number" and name.lower() in NAMES:
            located = locate(name, packed(list(column.values), "text"), base, below)
            if located:
                table.columns[name] = _path_column(name, located)
                table.notes.append(located.reason)
                return


def _path_column(name: str, located: Located) -> Column:
    found = "".join("1" if path else "0" for path in located.paths)
    return Column(name, located.paths, "path", digest(of_files(located.stamps), found))


def _column(name: str, values: Sequence[Any], kind: str, content: str) -> Column:
    fingerprint = digest(content, name) if content else of_values(values)
    if kind in ("names", "array") and (turns := as_turns(name, values)) is not None:
        return Column(name, turns, "turns", fingerprint, named=any_named(values))
    names = separated(name, values) if kind == "text" else None
    return Column(name, names or values, "names" if names else kind, fingerprint)


def _without_lost_files(table: Table, columns: Mapping[str, Sequence[Any]]) -> Table:
    """Drop rows whose file does not exist; of several columns of paths, those that are mostly filled count."""
    lost = {name: missing(column) for name, column in table.columns.items() if column.kind == "path"}
    if not lost:
        return table
    fullest = min(lost, key=lambda name: lost[name].sum())
    counting = {name: rows for name, rows in lost.items() if rows.any() and (name == fullest or rows.mean() <= 0.5)}
    if not counting:
        return table
    out = np.logical_or.reduce(list(counting.values()))
    named = tuple(str(columns[name][row]) for name, rows in counting.items() for row in np.flatnonzero(rows)[:20])
    what = f"name no file that exists in {' or '.join(counting)}"
    return drop(table, out, kind="missing_file", what=what, fix="put the files there", where=named)


def separated(name: str, values: Sequence[Any]) -> list[list[str] | None] | None:
    """Split text that joins several labels ("cat|dog"), or return None where it does not seem to.

    It does where the parts recur: fewer different parts than different texts, some of them in several texts.
    """
    different = {value for value in distinct(values, most=LOOKED_AT) if value}
    for separator in (*SEPARATORS, *([" "] if name.lower() in _LISTS else [])):
        joined = [value for value in different if separator in value]
        if len(joined) < 2:
            continue
        parts = [part.strip() for value in different for part in value.split(separator)]
        if len(set(parts)) < len(different) or _recur(joined, separator):
            return [None if v is None else [p for part in v.split(separator) if (p := part.strip())] for v in values]
    return None


def _recur(joined: list[str], separator: str) -> bool:
    """Tell whether most parts stand in two different texts or more."""
    counts: dict[str, int] = {}
    for value in joined:
        for part in {part.strip() for part in value.split(separator)}:
            counts[part] = counts.get(part, 0) + 1
    return sum(count > 1 for count in counts.values()) > len(counts) / 2
