"""Digests of rows: equal for equal rows, unless rows of these columns are often equal by chance.

Copies of a row must not stand on two sides of a split, and are left out of training where a given test set has them.
But where a table has few columns of few values, equal rows are ordinary, and each counts for itself. Chance is judged
as if columns were independent: it is the expected number of equal pairs of rows.

Shapes: N rows, C columns.
"""

from __future__ import annotations

from itertools import chain

import numpy as np

from engram.core import machine

BY_CHANCE = 1.0
"""From so many pairs of equal rows expected by chance on, equal rows are no copies."""

TOGETHER = 1 << 12

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15))
_SALTS = (np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344))


def of(cells_NC: np.ndarray, words: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return uint8 (N, 16). words: of each ragged column all values, and how many each row has."""
    more = machine.each(lambda column: _of_ragged(*column), words)
    rows_N2 = _hashed(cells_NC, more, _SALTS)
    if by_chance(cells_NC, more):
        rows_N2 = _mixed(rows_N2 + (_turns(rows_N2[:, 0]) * _MIX[0])[:, None])
    return rows_N2.view(np.uint8)


def expected_equal(cells_NC: np.ndarray) -> int:
    """How many rows equal an earlier one, where that is to be expected and they are no copies; else 0."""
    if not by_chance(cells_NC, []):
        return 0
    return len(cells_NC) - len(np.unique(_hashed(cells_NC, [], _SALTS[:1])))


def by_chance(cells_NC: np.ndarray, more: list[np.ndarray]) -> bool:
    """Tell whether pairs of equal rows are to be expected where none was copied."""
    number = len(cells_NC)
    expected = np.log(max(1.0, number * (number - 1) / 2))
    columns = (_bits(cells_NC[:, place]) for place in range(cells_NC.shape[1]))  # one at a time: memory stays flat
    for column in chain(columns, more):
        if expected <= np.log(BY_CHANCE):
            break  # every further column makes equal rows only rarer
        counts = np.unique(column, return_counts=True)[1].astype(np.float64)
        expected += np.log(max((counts * (counts - 1)).sum(), 0.5) / max(1.0, number * (number - 1)))
    return bool(expected > np.log(BY_CHANCE))


def _hashed(cells_NC: np.ndarray, more: list[np.ndarray], salts: tuple[np.uint64, ...]) -> np.ndarray:
    """Numbers (uint64, (N, S)) for the rows, one for each salt; so many rows at a time as fit into the cache."""
    row_NS = np.empty((len(cells_NC), len(salts)), np.uint64)

    def fill(start: int) -> None:
        some = slice(start, start + TOGETHER)
        row_SN = np.repeat(np.array(salts)[:, None], len(row_NS[some]), 1)
        for column in (*_bits(cells_NC[some].T), *(ragged[some] for ragged in more)):
            row_SN = _mixed(row_SN * _MIX[2] + column)
        row_NS[some] = row_SN.T

    machine.each(fill, range(0, len(row_NS), TOGETHER))
    return row_NS


def _turns(row: np.ndarray) -> np.ndarray:
    """How many equal rows stand before each, uint64 (N,)."""
    order = np.argsort(row, kind="stable")
    sorted_ = row[order]
    first = np.concatenate([[True], sorted_[1:] != sorted_[:-1]]) if len(row) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(row)), 0))
    turn = np.empty(len(row), np.uint64)
    turn[order] = (np.arange(len(row)) - start).astype(np.uint64)
    return turn


def _bits(cells: np.ndarray) -> np.ndarray:
    """The bits of float64, the same for all ways to write 0 and NaN."""
    plain = np.ascontiguousarray(cells) + 0.0  # -0 becomes 0
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint64)


def _of_ragged(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """One number (uint64) for the values of each row."""
    found, ends = np.zeros(len(sizes), np.uint64), np.cumsum(sizes)
    for start in range(0, len(sizes), TOGETHER):
        some = sizes[start : start + TOGETHER]
        begin = np.cumsum(some) - some
        first = int(ends[start] - sizes[start])
        held = values[first : first + int(some.sum())].astype(np.uint64)
        place = (np.arange(len(held)) - np.repeat(begin, some)).astype(np.uint64)
        hashed = _mixed(held * _MIX[0] + place * _MIX[1] + _MIX[2])
        if len(held):
            found[start : start + TOGETHER][some > 0] = np.add.reduceat(hashed, begin[some > 0])
    return found


def _mixed(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX[1]
    return numbers ^ (numbers >> np.uint64(31))
