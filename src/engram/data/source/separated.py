"""Text with separators, record by record: where each lies, and how many fields it has, before any is read.

Line breaks and separators within quotes are part of a field.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from engram.core import machine

SEPARATORS = "\t;|,"
"""The later ones stand within texts and numbers more often, and must fit better."""

CHUNK = 1 << 22
"""Bytes looked at together: memory stays flat."""

MOST_ABOVE = 20
"""Lines that stand above a header at most."""

BREAK, RETURN, QUOTE = 10, 13, 34
_SIGNED = np.isin(np.arange(256), list(b'+-0"'))


@dataclass
class Records:
    """The records of a text. ends: the byte after each. fields: how many each has, 0 for a blank line. written: the
    fields, by their place among those of all records, that begin as no plain number does."""

    content: bytes
    separator: str
    quoted: bool
    ends: np.ndarray
    fields: np.ndarray
    written: np.ndarray

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

    def written_columns(self, *, below: int) -> list[int]:
        """The columns with fields, in others than the first so many records, that begin with a sign, a quote, or a zero
        before a digit; of records that are all of one width."""
        places: list[int] = np.unique(self.written[self.written >= below * self.width] % self.width).tolist()
        return places

    def only(self, kept: np.ndarray) -> bytes:
        """The records that are kept (bool (N,)), runs of them at once."""
        edges, starts = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0)), self.starts
        return b"".join(self.content[starts[a] : self.ends[b - 1]] for a, b in edges.reshape(-1, 2))


def records_of(content: bytes, separator: str) -> Records:
    """Find every record of a text and count its fields."""
    quoted = _quotes_enclose(content, separator)
    return Records(content, separator, quoted, *_scan(content, separator, quoted=quoted))


def separator_of(sample: bytes) -> str:
    """The sign that the first lines have in equal numbers, the header too."""
    best, score = ",", 0.0
    for separator in SEPARATORS:
        _, fields, _ = _scan(sample, separator, quoted=b'"' in sample)
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


def _scan(content: bytes, separator: str, *, quoted: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The byte after each record, how many fields it has (0 for a blank line), and the fields of `Records.written`."""
    signs = np.frombuffer(content, np.uint8)
    starts = range(0, len(signs), CHUNK)
    chunks = starts if quoted else ()
    quotes = machine.each(lambda start: int(np.count_nonzero(signs[start : start + CHUNK] == QUOTE)), chunks)
    opened = (np.cumsum([0, *quotes]) % 2).astype(np.uint8) if quoted else None  # whether a chunk begins within a quote

    def marked(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Of a chunk: where records end, after how many of its marks, what `_written` says of its fields, and its
        number of marks."""
        some = signs[start : start + CHUNK]
        found = (some == BREAK) | (some == ord(separator))
        if opened is not None:
            inside = np.bitwise_xor.accumulate((some == QUOTE).view(np.uint8)) ^ opened[start // CHUNK]
            found &= inside == 0
        places = np.flatnonzero(found) + start
        breaks = np.flatnonzero(signs[places] == BREAK)
        return places[breaks] + 1, breaks, _written(signs, places + 1), len(places)

    ends, breaks, odd, numbers = zip(*machine.each(marked, starts), strict=True) if len(signs) else ([], [], [], [])
    before = np.cumsum([0, *numbers])  # marks before each chunk
    end, mark, written = (
        np.concatenate([np.zeros(0, np.int64), *map(np.add, parts, shift)])
        for parts, shift in ((ends, np.zeros_like(before)), (breaks, before), (odd, before + 1))
    )
    if len(signs) and (not len(end) or end[-1] < len(signs)):
        end, mark = np.append(end, len(signs)), np.append(mark, before[-1])
    fields, length = np.diff(mark, prepend=-1), np.diff(end, prepend=0)
    broken = signs[end - 1] == BREAK
    returned = broken & (signs[np.maximum(end - 2, 0)] == RETURN)
    fields[(broken & (length == 1)) | (returned & (length == 2))] = 0
    return end, fields, written


def _written(signs: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which fields (their first bytes given) begin with a plus, a quote, or a zero before a digit."""

    def sign(places: np.ndarray) -> np.ndarray:
        return signs[np.minimum(places, len(signs) - 1)]

    fields = np.flatnonzero(_SIGNED[sign(places)])
    first = sign(places[fields])
    number = places[fields] + (first == ord("-"))
    coded = (sign(number) == ord("0")) & (sign(number + 1) - ord("0") < 10)  # unsigned: what is below is far above
    return fields[coded | (first == ord("+")) | (first == QUOTE)]
