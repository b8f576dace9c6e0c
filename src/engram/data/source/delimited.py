"""Text with separators as a table: where it lies in a file, whatever stands around it, and which lines do not fit.

Every line is looked at before any is read. What is above the header, blank, or of another number of fields is left out
and named; nothing is filled in.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.core.units import agreeing
from engram.data.source.cells import plain_numbers
from engram.data.source.header import LOOKED_AT, completed, different, header_at, is_row
from engram.data.source.separated import Records, records_of, separator_of

if TYPE_CHECKING:
    import polars

SAMPLE = 1 << 16
"""Bytes by which the separator is told."""

MISSING = ("", "nan", "NaN", "null", "NULL", "N/A", "#N/A")
"""What stands for a missing value in CSV. "NA" and "None" are missing among numbers only: they may be classes."""

MOST_ODD = 0.2
"""Where a larger share of lines has another number of fields, the file is no table."""

NO_HEADER = "The first line is a row and no header; columns are called column_1 and so on."
FOOTER = re.compile(r"(grand |sub)?total|sum|average|mean|summe|gesamt|source:.*|notes?:.*", re.I)
SHOWN = 20


@dataclass
class Delimited:
    """A table of texts and plain numbers, what stands between its fields, and what was found on the way."""

    frame: polars.DataFrame
    separator: str
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_delimited(content: bytes, *, path: str, separator: str | None = None, plain: bool = True) -> Delimited:
    """Read a text in UTF-8 with separators into columns of texts and plain numbers. DataError where it is no table.

    path: where the text comes from; plain: whether it stands there just so. separator: known from the name.
    """
    records = records_of(content, separator or separator_of(content[:SAMPLE]))
    if not records.width:
        raise DataError(f"expected a table; {path} is empty. Name another file.")
    first = header_at(records)
    names, note = completed(records, first)
    kept = records.fields == records.width
    kept[:first] = False
    findings = _odd_lines(records, np.flatnonzero(~kept & (records.fields > 0)), first, path)
    given = path if plain and kept.all() else io.BytesIO(content if kept.all() else records.only(kept))
    header, some = bool(kept[first]), _some(records, kept)
    looked = _frame(some, records, header=header)
    if header and is_row(looked, names):
        header, names, note = False, [f"column_{n + 1}" for n in range(records.width)], NO_HEADER
        looked = _frame(some, records, header=False)
    numbers = _numbers(looked, records, header=header) if kept.all() and len(kept) > 2 * LOOKED_AT else {}
    frame = _frame(given, records, header=header, kinds=numbers)
    frame.columns, twice = different(names)
    if twice:
        message = f"{len(twice)} names stand above several columns; the later ones are called {twice[0]}_2 and so on"
        findings.append(Finding("warning", "duplicate_header", message, tuple(twice), "give each its own name"))
    found = Delimited(frame, records.separator, [*_above(records, first), *([note] if note else [])], findings)
    return _without_footer(_without_empty(found, names))


def _above(records: Records, first: int) -> list[str]:
    """Say which lines above the header are no part of the table."""
    lines = [" ".join(filter(None, records.cells(n))).strip() for n in range(first) if records.fields[n]]
    lines = [line for line in lines if line]
    said = " / ".join(lines)[:200]
    return [agreeing(f"{len(lines)} lines above the header are no part of the table: {said}")] if lines else []


def _odd_lines(records: Records, odd: np.ndarray, first: int, path: str) -> list[Finding]:
    """Name the lines below the header that have another number of fields. DataError where they are many."""
    odd, total = odd[odd > first], int((records.fields > 0).sum())
    if not len(odd):
        return []
    width, sign = records.width, records.separator
    lines = [records.text(row).count("\n") for row in odd[:SHOWN].tolist()]
    said = [
        f"{records.fields[row]} fields{f' in {n:,} lines' if n > 1 else ''}" for row, n in zip(odd, lines, strict=False)
    ]
    where = tuple(f"line {records.line(row)}: {what}" for row, what in zip(odd.tolist(), said, strict=False))
    if len(odd) + sum(lines) - len(lines) > MOST_ODD * (total + sum(lines) - len(lines)):
        raise DataError(
            f"expected {width} fields in every line of {path}; {len(odd):,} of {total:,} have others "
            f"({'; '.join(where[:5])}). Close quotes, put texts that hold {sign!r} in quotes, or save the table anew."
        )
    message = f"{len(odd):,} lines do not have {width} fields and were left out"
    fix = f"close quotes, put texts that hold {sign!r} or a line break in quotes, and complete lines that were cut"
    return [Finding("warning", "ragged_lines", message, where, fix)]


def _some(records: Records, kept: np.ndarray) -> io.BytesIO:
    """The first records, the last ones and others evenly spread."""
    rows = np.flatnonzero(kept)
    some = np.zeros(len(kept), bool)
    some[np.concatenate([rows[:LOOKED_AT], rows[:: 1 + len(rows) // LOOKED_AT], rows[-SHOWN:]])] = True
    return io.BytesIO(records.only(some))


def _numbers(looked: polars.DataFrame, records: Records, *, header: bool) -> dict[str, polars.DataType]:
    """The columns that are plain numbers in some records, and in no record begin as a text does: names and kinds."""
    written = {looked.columns[place] for place in records.written_columns(below=int(header))}
    found = {name: plain_numbers(looked[name]) for name in looked.columns if name not in written}
    return {name: numbers.dtype for name, numbers in found.items() if numbers is not None}


def _frame(
    given: str | io.BytesIO, records: Records, *, header: bool, kinds: Mapping[str, polars.DataType] | None = None
) -> polars.DataFrame:
    """Read everything as text, but for plain numbers: a label 007 is no number, and no row decides the kind of those
    after it. kinds: of the columns that seem to be numbers; where a cell is none after all, they are text too."""
    import polars

    if isinstance(given, io.BytesIO):
        given.seek(0)
    try:
        return polars.read_csv(
            given, separator=records.separator, infer_schema=False, has_header=header, null_values=list(MISSING),
            quote_char='"' if records.quoted else None, truncate_ragged_lines=True, schema_overrides=kinds or None,
        )  # fmt: skip
    except polars.exceptions.ComputeError:
        if not kinds:
            raise
        return _frame(given, records, header=header)


def _without_empty(found: Delimited, names: Sequence[str]) -> Delimited:
    """Leave out columns without a name and a value, and rows without any value."""
    import polars

    frame = found.frame
    nameless = [c for c, name in zip(frame.columns, names, strict=True) if not name]
    empty = [name for name in nameless if frame[name].null_count() == frame.height]
    if empty and len(empty) < frame.width:
        frame = frame.drop(empty)
    if frame.width > 1 and frame.height and frame[-1].null_count().sum_horizontal()[0] == frame.width:
        kept = ~frame.select(polars.all_horizontal(polars.all().is_null())).to_series()
        message = f"{frame.height - int(kept.sum()):,} lines hold separators and no value and are left out"
        found.findings.append(Finding("info", "empty_rows", message))
        frame = frame.filter(kept)
    return replace(found, frame=frame)


def _without_footer(found: Delimited) -> Delimited:
    """Leave out a last line or two that sum up the others."""
    frame, cut = found.frame, 0
    while cut < 3 and frame.width > 1 and frame.height - cut > 5:
        cells = frame.row(frame.height - 1 - cut)
        place = next((number for number, cell in enumerate(cells) if cell), 0)
        if not FOOTER.fullmatch(str(cells[place] or "").strip()) or (frame.to_series(place) == cells[place]).sum() > 1:
            break  # a word that other rows hold too is a value
        cut += 1
    if cut:
        last = [" ".join(map(str, filter(None, row))) for row in frame.tail(cut).rows()]
        message = f"the last {cut} lines sum up or explain the others and were left out"
        finding = Finding("warning", "footer", message, tuple(last), "remove them from the table")
        return replace(found, frame=frame.head(frame.height - cut), findings=[*found.findings, finding])
    return found
