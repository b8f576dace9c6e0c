"""Text with separators: where a table lies in a file, whatever stands around it, and which lines do not fit.

Every line is looked at before any is read: how many fields it has, quotes and line breaks within them counted right.
What is above the header, blank, or of another number of fields is left out and named; nothing is filled in.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.source.listing import TEXTS, is_picture

if TYPE_CHECKING:
    import polars

SEPARATORS = "\t;|,"
"""The later ones stand within texts and numbers more often, and must fit better."""

CHUNK = 1 << 23
"""Bytes looked at together: memory stays flat."""

SAMPLE = 1 << 16
"""Bytes by which the separator is told."""

MISSING = ("", "nan", "NaN", "null", "NULL", "N/A", "#N/A")
"""What stands for a missing value in CSV. "NA" and "None" are missing among numbers only: they may be classes."""

SENTENCE = 8
"""Words that no name of a column has."""

NAME = r"[^\W\d]\w*(?:[ .-]\w+)?"
"""What columns are called as a rule: a word or two."""

LOOKED_AT = 10_000
"""Rows that are compared with the first line."""

MOST_ODD = 0.2
"""Where a larger share of lines has another number of fields, the file is no table."""

MOST_ABOVE = 20
"""Lines that stand above a header at most."""

FOOTER = re.compile(r"(grand |sub)?total|sum|average|mean|summe|gesamt|source:.*|notes?:.*", re.I)
SHOWN = 20


@dataclass
class Records:
    """The records of a text: the byte after each, and how many fields it has; a blank line has none."""

    ends: np.ndarray
    fields: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """The first byte of each."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)


@dataclass
class Delimited:
    """A table of texts, with what was found on the way. decimal: the sign that numbers may have in place of a point."""

    frame: polars.DataFrame
    separator: str
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_delimited(content: bytes, *, path: str, separator: str | None = None, plain: bool = True) -> Delimited:
    """Read a text in UTF-8 with separators into columns of texts. DataError where it is no table.

    path: where the text comes from; plain: whether it stands there just so. separator: known from the name.
    """
    separator = separator or separator_of(content[:SAMPLE])
    quoted = quotes_enclose(content, separator.encode())
    records = scan(content, separator.encode(), quoted=quoted)
    width = _width(records)
    if not width:
        raise DataError(f"expected a table; {path} is empty. Name another file.")
    first = _header_at(records, width)
    found = Delimited(None, separator)  # type: ignore[arg-type]  # read below
    kept = records.fields == width
    kept[:first] = False
    names = _names(content, records, first, separator)
    odd = np.flatnonzero(~kept & (records.fields > 0) & (np.arange(len(kept)) > first))
    _tell_above(found, content, records, first)
    names = _fitted(found, names, width, content, records, first, separator)
    kept[first] = records.fields[first] == width
    _tell_odd(found, content, records, odd, width=width, total=int(kept.sum()), path=path)
    whole = plain and bool(kept.all())
    given = path if whole else io.BytesIO(content if kept.all() else _only(content, records, kept))
    found.frame = _frame(given, separator, quoted, header=bool(kept[first]))
    if kept[first] and _is_row(found.frame, names):
        found.frame = _frame(given, separator, quoted, header=False)
        names = [f"column_{number + 1}" for number in range(width)]
    found.frame.columns = _different(found, names)
    return _without_footer(_without_empty(found, names))


def separator_of(sample: bytes) -> str:
    """The sign that the first lines have in equal numbers, the header too."""
    best, score = ",", 0.0
    for separator in SEPARATORS:
        fields = scan(sample, separator.encode(), quoted=b'"' in sample).fields
        fields = fields[fields > 0]
        if not len(fields):
            continue
        width = int(np.bincount(fields).argmax())
        share = float((fields == width).mean())
        if width > 1 and share > score + 0.02 and (fields[: MOST_ABOVE + 1] >= width - 1).any():
            best, score = separator, share
    return best


def quotes_enclose(content: bytes, separator: bytes) -> bool:
    """Tell whether quotes enclose fields, or are plain signs: where none opens a field, and between tabs, where they
    seldom enclose anything, where those that open and those that close do not fit.
    """
    sign = re.escape(separator)
    opening = sum(1 for _ in re.finditer(rb'(?:^|%b)"' % sign, content, re.M)) if content.find(b'"') >= 0 else 0
    if separator != b"\t" or not opening:
        return opening > 0
    return opening == sum(1 for _ in re.finditer(rb'"(?=%b|\r?$)' % sign, content, re.M))


def scan(content: bytes, separator: bytes, *, quoted: bool) -> Records:
    """Find every record and count its fields."""
    signs, ends, counts = np.frombuffer(content, np.uint8), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    within, splits = 0, 0  # whether a quote is open, and how many separators there were so far
    for start in range(0, len(signs), CHUNK):
        some = signs[start : start + CHUNK]
        marks = (some == 10) | (some == separator[0])
        if quoted:
            inside = np.bitwise_xor.accumulate((some == 34).view(np.uint8)) ^ within
            within = int(inside[-1])
            marks &= inside == 0
        places = np.flatnonzero(marks)
        breaks = np.flatnonzero(some[places] == 10)
        ends.append(places[breaks] + start + 1)
        counts.append(breaks - np.arange(len(breaks)) + splits)
        splits += len(places) - len(breaks)
    end, count = np.concatenate(ends), np.concatenate(counts)
    if len(signs) and (not len(end) or end[-1] < len(signs)):
        end, count = np.append(end, len(signs)), np.append(count, splits)
    fields = np.diff(count, prepend=0) + 1
    length = np.diff(end, prepend=0)
    blank = (length == 1) & (signs[end - 1] == 10) | (length == 2) & (signs[np.maximum(end - 2, 0)] == 13)
    fields[blank] = 0
    return Records(end, fields)


def _width(records: Records) -> int:
    """How many fields most records have."""
    fields = records.fields[records.fields > 0]
    return int(np.bincount(fields).argmax()) if len(fields) else 0


def _header_at(records: Records, width: int) -> int:
    """The record that is the header: the first of full width, or the one before it that lacks one name."""
    full = int(np.flatnonzero(records.fields == width)[0])
    if full > MOST_ABOVE:
        full = int(np.flatnonzero(records.fields > 0)[0])
    before = np.flatnonzero(records.fields[:full] > 0)
    return int(before[-1]) if len(before) == 1 and width > 2 and records.fields[before[-1]] == width - 1 else full


def _record(content: bytes, records: Records, number: int, separator: str) -> list[str]:
    text = content[records.starts[number] : records.ends[number]].decode("utf-8", "replace")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])


def _names(content: bytes, records: Records, first: int, separator: str) -> list[str]:
    return [name.strip() for name in _record(content, records, first, separator)]


def _tell_above(found: Delimited, content: bytes, records: Records, first: int) -> None:
    above = [number for number in range(first) if records.fields[number]]
    if above:
        lines = [content[records.starts[n] : records.ends[n]].decode("utf-8", "replace").strip() for n in above]
        found.notes.append(f"{len(above)} lines above the header are no part of the table: {' / '.join(lines)[:200]}")


def _fitted(
    found: Delimited, names: list[str], width: int, content: bytes, records: Records, first: int, separator: str
) -> list[str]:
    """Complete a header that lacks one name: of a separator that ends every line, or of the names of rows."""
    if len(names) != width - 1:
        return names
    rows = np.flatnonzero(records.fields == width)[:LOOKED_AT]
    if all(not _record(content, records, int(row), separator)[-1].strip() for row in rows[:200]):
        found.notes.append("Every line ends with a separator; what would be the last column is empty and left out.")
        return [*names, ""]
    found.notes.append("The header has no name for the first column, which names the rows.")
    return ["row", *names]


def _tell_odd(
    found: Delimited, content: bytes, records: Records, odd: np.ndarray, *, width: int, total: int, path: str
) -> None:
    """Name the lines that do not fit. DataError where they are many."""
    if not len(odd):
        return
    shown = odd[:SHOWN]
    signs = np.frombuffer(content, np.uint8)
    lines = [int(np.count_nonzero(signs[: records.starts[row]] == 10)) + 1 for row in shown]
    where = tuple(f"line {n}: {records.fields[row]} fields" for n, row in zip(lines, shown, strict=True))
    if len(odd) > MOST_ODD * total:
        raise DataError(
            f"expected {width} fields in every line of {path}; {len(odd):,} of {total + len(odd):,} have others "
            f"({'; '.join(where[:5])}). Put texts that hold {found.separator!r} in "
            "quotes, or save the table anew."
        )
    message = f"{len(odd):,} lines do not have {width} fields and were left out"
    fix = f"put texts that hold {found.separator!r} or a line break in quotes, and complete lines that were cut"
    found.findings.append(Finding("warning", "ragged_lines", message, where, fix))


def _only(content: bytes, records: Records, kept: np.ndarray) -> bytes:
    """The records that are kept, runs of them at once."""
    edges = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0))
    starts, ends = records.starts, records.ends
    return b"".join(content[starts[a] : ends[b - 1]] for a, b in edges.reshape(-1, 2))


def _frame(given: str | io.BytesIO, separator: str, quoted: bool, *, header: bool) -> polars.DataFrame:
    """Read everything as text: a label 007 is no number, and no row decides the kind of those after it."""
    import polars

    if isinstance(given, io.BytesIO):
        given.seek(0)
    return polars.read_csv(
        given, separator=separator, infer_schema=False, has_header=header, null_values=list(MISSING),
        quote_char='"' if quoted else None, truncate_ragged_lines=True,
    )  # fmt: skip


def _is_row(frame: polars.DataFrame, names: list[str]) -> bool:
    """Tell whether what was taken for the header is a row: it names files, holds a sentence, numbers that no name is,
    or a value that recurs below it and nothing that could only be a name.
    """
    if any(is_picture(name) or TEXTS.holds(name) or len(name.split()) >= SENTENCE for name in names):
        return True
    if all(name.isdecimal() for name in names) and {int(b) - int(a) for a, b in pairwise(names)} <= {1}:
        return False  # columns that are only numbered
    below = frame.head(LOOKED_AT)
    found = {name: int((below[place] == name).sum()) for name, place in zip(names, frame.columns, strict=False)}
    named = any(re.fullmatch(NAME, name.strip()) for name, number in found.items() if not number)
    measured = sum(bool(re.fullmatch(r"-?\d+\.\d+|-\d+", name)) for name in names)
    return not named and (any(number > 1 for number in found.values()) or 2 * measured > len(names))


def _different(found: Delimited, names: list[str]) -> list[str]:
    """Give every column a name of its own, and say so."""
    taken: dict[str, int] = {}
    chosen = []
    for number, name in enumerate(names):
        plain = name or f"column_{number + 1}"
        taken[plain] = taken.get(plain, 0) + 1
        chosen.append(plain if taken[plain] == 1 else f"{plain}_{taken[plain]}")
    twice = [name for name, number in taken.items() if number > 1]
    if twice:
        message = f"{len(twice)} names stand above several columns; the later ones are called {twice[0]}_2 and so on"
        found.findings.append(Finding("warning", "duplicate_header", message, tuple(twice), "give each its own name"))
    return chosen


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
        message = f"{frame.height - int(kept.sum()):,} lines hold separators and no value; they are left out"
        found.findings.append(Finding("info", "empty_rows", message))
        frame = frame.filter(kept)
    return replace(found, frame=frame)


def _without_footer(found: Delimited) -> Delimited:
    """Leave out a last line or two that sum up the others."""
    frame, cut = found.frame, 0
    while cut < 3 and frame.width > 1 and frame.height - cut > 5:
        first = next((cell for cell in frame.row(frame.height - 1 - cut) if cell), "")
        if not FOOTER.fullmatch(first.strip()):
            break
        cut += 1
    if cut:
        last = [" ".join(filter(None, row)) for row in frame.tail(cut).rows()]
        message = f"the last {cut} lines sum up or explain the others and were left out"
        finding = Finding("warning", "footer", message, tuple(last), "remove them from the table")
        return replace(found, frame=frame.head(frame.height - cut), findings=[*found.findings, finding])
    return found
