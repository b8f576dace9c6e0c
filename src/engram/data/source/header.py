"""The header of a table of texts: which record it is, whether it is one at all, and what columns are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engram.data.source.listing import TEXTS, is_picture
from engram.data.source.separated import MOST_ABOVE, Records

if TYPE_CHECKING:
    import polars

SENTENCE = 8
"""Words that no name of a column has."""

NAME = r"[^\W\d]\w*(?:[ .-]\w+)?"
"""What columns are called as a rule: a word or two."""

MEASURED = r"-?\d+\.\d+|-\d+"
"""Numbers that no column is called by."""

LOOKED_AT = 10_000
"""Rows that are compared with the first line."""


def header_at(records: Records) -> int:
    """The record that is the header: the first of full width, or the one before it that lacks one name.

    Spreadsheets give a title as many separators as the table has: a line of one word among several fields is one.
    """
    width, some = records.width, np.flatnonzero(records.fields > 0)
    whole = np.flatnonzero(records.fields[: MOST_ABOVE + 1] == width).tolist()
    filled = (number for number in whole if width < 3 or sum(map(bool, map(str.strip, records.cells(number)))) > 1)
    full = next(filled, int(np.flatnonzero(records.fields == width)[0]))
    if full > MOST_ABOVE:
        return int(some[0])
    before = some[some < full]
    return int(before[-1]) if len(before) == 1 and records.fields[before[-1]] == width - 1 > 1 else full


def completed(records: Records, first: int) -> tuple[list[str], str]:
    """Names of the columns, "" for none, and what had to be completed: a header may lack one name."""
    names = [name.strip() for name in records.cells(first)]
    if len(names) != records.width - 1:
        return names, ""
    rows = np.flatnonzero(records.fields == records.width)[:200]
    if all(not records.cells(int(row))[-1].strip() for row in rows):
        return [*names, ""], "Every line ends with a separator; the last column, which is empty, is left out."
    return ["row", *names], "The header has no name for the first column, which names the rows."


def is_row(frame: polars.DataFrame, names: Sequence[str]) -> bool:
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
    measured = sum(bool(re.fullmatch(MEASURED, name)) for name in names)
    return not named and (any(number > 1 for number in found.values()) or 2 * measured > len(names))


def different(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give every column a name of its own; return them, and the names that stood above several."""
    taken: dict[str, int] = {}
    chosen = []
    for number, name in enumerate(names):
        plain = name or f"column_{number + 1}"
        taken[plain] = taken.get(plain, 0) + 1
        chosen.append(plain if taken[plain] == 1 else f"{plain}_{taken[plain]}")
    return chosen, [name for name, number in taken.items() if number > 1]
