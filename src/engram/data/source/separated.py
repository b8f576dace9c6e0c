"""Text with separators, record by record: where each lies, and how many fields it has, before any is read.

Line breaks and separators within quotes are part of a field.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

SEPARATORS = "\t;|,"
"""The later ones stand within texts and numbers more often, and must fit better."""

CHUNK = 1 << 23
"""Bytes looked at together: memory stays flat."""

MOST_ABOVE = 20
"""Lines that stand above a header at most."""

BREAK, RETURN, QUOTE = 10, 13, 34


@dataclass
class Records:
    """The records of a text. ends: the byte after each. fields: how many each has, 0 for a blank line."""

    content: bytes
    separator: str
    quoted: bool
    ends: np.ndarray
    fields: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """The first byte of each."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)

    @property
    def width(self) -> int:
        """How many fields most of them have; 0 where there are none."""
        fields = self.fields[self.fields > 0]
        return int(np.bincount(fields).argmax()) if len(fields) else 0

    def text(self, number: int) -> str:
        """What a record says."""
        start = self.ends[number - 1] if number else 0
        return self.content[start : self.ends[number]].decode("utf-8", "replace")

    def cells(self, number: int) -> list[str]:
        """The fields of a record."""
        text = io.StringIO(self.text(number), newline="")
        if not self.quoted:
            return next(csv.reader(text, delimiter=self.separator, quoting=csv.QUOTE_NONE), [])
        return next(csv.reader(text, delimiter=self.separator), [])

    def line(self, number: int) -> int:
        """The line on which a record begins, from 1 on."""
        start = self.ends[number - 1] if number else 0
        return int(np.count_nonzero(np.frombuffer(self.content, np.uint8)[:start] == BREAK)) + 1

    def only(self, kept: np.ndarray) -> bytes:
        """The records that are kept (bool (N,)), runs of them at once."""
        edges, starts = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0)), self.starts
        return b"".join(self.content[starts[a] : self.ends[b - 1]] for a, b in edges.reshape(-1, 2))


def records_of(content: bytes, separator: str) -> Records:
    """Find every record of a text and count its fields."""
    quoted = _quotes_enclose(content, separator)
    ends, fields = _scan(content, separator, quoted=quoted)
    return Records(content, separator, quoted, ends, fields)


def separator_of(sample: bytes) -> str:
    """The sign that the first lines have in equal numbers, the header too."""
    best, score = ",", 0.0
    for separator in SEPARATORS:
        _, fields = _scan(sample, separator, quoted=b'"' in sample)
        fields = fields[fields > 0]
        if not len(fields):
            continue
        width = int(np.bincount(fields).argmax())
        share = float((fields == width).mean())
        if width > 1 and share > score + 0.02 and (fields[: MOST_ABOVE + 1] >= width - 1).any():
            best, score = separator, share
    return best


def _quotes_enclose(content: bytes, separator: str) -> bool:
    """Tell whether quotes enclose fields, or are plain signs: where none opens a field, and between tabs, where they
    seldom enclose anything, where those that open and those that close do not fit.
    """
    signs, sign, opening, closing = np.frombuffer(content, np.uint8), ord(separator), 0, 0
    for start in range(0, len(signs), CHUNK):
        places = np.flatnonzero(signs[start : start + CHUNK] == QUOTE) + start
        before = np.where(places > 0, signs[places - 1], BREAK)
        after = np.where(places + 1 < len(signs), signs[np.minimum(places + 1, len(signs) - 1)], BREAK)
        opening += int(np.isin(before, (sign, BREAK)).sum())
        closing += int(np.isin(after, (sign, BREAK, RETURN)).sum())
    return opening > 0 and (separator != "\t" or opening == closing)


def _scan(content: bytes, separator: str, *, quoted: bool) -> tuple[np.ndarray, np.ndarray]:
    """The byte after each record, and how many fields it has; 0 for a blank line."""
    signs, ends, counts = np.frombuffer(content, np.uint8), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    within, splits = 0, 0  # whether a quote is open, and how many separators there were so far
    for start in range(0, len(signs), CHUNK):
        some = signs[start : start + CHUNK]
        marks = (some == BREAK) | (some == ord(separator))
        if quoted:
            inside = np.bitwise_xor.accumulate((some == QUOTE).view(np.uint8)) ^ within
            within = int(inside[-1])
            marks &= inside == 0
        places = np.flatnonzero(marks)
        breaks = np.flatnonzero(some[places] == BREAK)
        ends.append(places[breaks] + start + 1)
        counts.append(breaks - np.arange(len(breaks)) + splits)
        splits += len(places) - len(breaks)
    end, count = np.concatenate(ends), np.concatenate(counts)
    if len(signs) and (not len(end) or end[-1] < len(signs)):
        end, count = np.append(end, len(signs)), np.append(count, splits)
    fields, length = np.diff(count, prepend=0) + 1, np.diff(end, prepend=0)
    broken = signs[end - 1] == BREAK
    returned = broken & (signs[np.maximum(end - 2, 0)] == RETURN)
    fields[(broken & (length == 1)) | (returned & (length == 2))] = 0
    return end, fields
