"""Pairs of texts that do not belong together: swapped, untranslated, shifted against each other, of absurd lengths.

What the two sides look like is learned from the data itself, so that it works for any two languages.
Shapes: N pairs, H hashed shingles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engram.core.evidence import Finding, Fix
from engram.core.shingles import shingles
from engram.data.doctor.naming import named

if TYPE_CHECKING:
    from engram.data.examples import Examples
    from engram.data.stored import Stored
    from engram.data.table import Column

CHUNK = 2000
BUCKETS = 1 << 16
"""Shingles are counted under so many hashes."""

SHINGLE = 3
LEARNED_FROM = 100_000
"""Pairs, evenly spread, from which the two sides are learned."""

LEAST_LETTERS = 12
"""Of shorter texts the language cannot be told."""

DIFFERENT = 0.4
"""Evidence a shingle (in nats) from which the two sides are different languages at all."""

ABSURD = 3.0
"""Times longer than pairs are as a rule, from which a pair is in doubt, at least."""

SPREADS = 6.0
"""Robust standard deviations from which it is, too: both must hold."""

LONG = 30
"""Bytes of the longer text from which its length says something."""

WINDOW, SHIFTS = 100, (-3, -2, -1, 1, 2, 3)
SHIFTED = 0.4
"""By how much lengths must go together better when shifted."""


def pairs(examples: Examples, roles: Mapping[str, Column], sides: Sequence[str]) -> Iterator[Finding]:
    """Examine the pairs of two roles of text, the inputs' first."""
    one, other = (examples.stored[side] for side in sides)
    column = roles[sides[0]]
    rows = np.flatnonzero(one.ok & other.ok)
    if len(rows) < 2:
        return
    yield from _lengths(one, other, rows, column)
    yield from _shifts(one, other, rows, column)
    yield from _equal(one, other, rows, column)
    yield from _sides(one, other, rows, column)


def _finding(kind: str, message: str, fix: str, fixes: Sequence[Fix], column: Column) -> Finding:
    return Finding("warning", kind, message, tuple(named(column, [f.row for f in fixes])), fix, tuple(fixes))


def _sizes(stored: Stored, rows: np.ndarray) -> np.ndarray:
    return np.maximum(1, stored.sizes("utf8", rows)).astype(np.float64)


def _lengths(one: Stored, other: Stored, rows: np.ndarray, column: Column) -> Iterator[Finding]:
    """Pairs whose texts differ in length as no others do."""
    first, second = _sizes(one, rows), _sizes(other, rows)
    ratio = np.log(second / first)
    ratio -= np.median(ratio)
    spread = 1.4826 * np.median(np.abs(ratio))
    odd = (np.abs(ratio) > max(np.log(ABSURD), SPREADS * spread)) & (np.maximum(first, second) >= LONG)
    if odd.any():
        fixes = [
            Fix(int(row), "drop", f"one text is {np.exp(abs(times)):.1f} times longer than pairs are here", score=0.6)
            for row, times in zip(rows[odd], ratio[odd], strict=True)
        ]
        message = f"{len(fixes):,} pairs have lengths that do not go together"
        yield _finding("length_ratio", message, "look whether the two texts say the same", fixes, column)


def _shifts(one: Stored, other: Stored, rows: np.ndarray, column: Column) -> Iterator[Finding]:
    """Stretches of rows where the lengths of the texts go together only when one side is shifted."""
    first, second = np.log(_sizes(one, rows)), np.log(_sizes(other, rows))
    reach = max(SHIFTS)
    shifted: list[tuple[int, int]] = []
    for start in range(reach, len(rows) - WINDOW - reach + 1, WINDOW):
        here = first[start : start + WINDOW]
        plain = _together(here, second[start : start + WINDOW])
        moved = {shift: _together(here, second[start + shift : start + shift + WINDOW]) for shift in SHIFTS}
        best = max(SHIFTS, key=moved.__getitem__)
        if moved[best] > max(plain, 0) + SHIFTED:
            shifted.append((start, best))
    if shifted:
        start, shift = shifted[0]
        message = (
            f"about {len(shifted) * WINDOW:,} pairs seem to be shifted by {abs(shift)} row{'s' * (abs(shift) > 1)} "
            f"against each other, from about {column.where(int(rows[start]))} on"
        )
        fixes = [
            Fix(int(row), "drop", "the two sides are shifted against each other here", score=0.7)
            for begin, _ in shifted
            for row in rows[begin : begin + WINDOW]
        ]
        fix = "find the line that is missing on one side, and mend it"
        yield _finding("misaligned", message, fix, fixes, column)


def _together(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation; 0 where one side does not vary."""
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / scale) if scale > 1e-9 else 0.0


def _equal(one: Stored, other: Stored, rows: np.ndarray, column: Column) -> Iterator[Finding]:
    """Texts that stand on both sides unchanged."""
    long = rows[_sizes(one, rows) >= LEAST_LETTERS]
    same = [row for row in long.tolist() if (one.digest[row] == other.digest[row]).all()]
    if same and len(same) < len(rows) / 2:
        fixes = [Fix(row, "drop", "both texts are the same", score=0.8) for row in same]
        message = f"{len(same):,} pairs hold the same text twice"
        yield _finding("untranslated", message, "translate them, or leave them out", fixes, column)


def _sides(one: Stored, other: Stored, rows: np.ndarray, column: Column) -> Iterator[Finding]:
    """Pairs whose texts look like those of the other side: both, or one of them."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), LEARNED_FROM)).astype(np.int64))]
    counts = [_counts(side, some) + 0.5 for side in (one, other)]
    evidence_H = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    scores = [_scores(side, rows, evidence_H) for side in (one, other)]
    typical = [np.nanmedian(score) if np.isfinite(score).any() else 0.0 for score in scores]
    if typical[0] < DIFFERENT or -typical[1] < DIFFERENT:
        return  # one language on both sides
    turned = [scores[0] < 0.5 * typical[1], scores[1] > 0.5 * typical[0]]
    swapped, foreign = turned[0] & turned[1], turned[0] ^ turned[1]
    same = (one.digest[rows] == other.digest[rows]).all(1)
    for kind, found, message, fix in (
        (
            "swapped",
            swapped,
            "pairs seem to be swapped: each text looks like the other side's",
            "swap them back",
        ),
        (
            "wrong_side",
            foreign & ~same,
            "pairs have both texts in what looks like one language",
            "look whether they were translated",
        ),
    ):
        if found.any():
            fixes = [Fix(int(row), "drop", message.partition(":")[0], score=0.8) for row in rows[found]]
            yield _finding(kind, f"{len(fixes):,} {message}", fix, fixes, column)


def _counts(stored: Stored, rows: np.ndarray) -> np.ndarray:
    counts = np.zeros(BUCKETS)
    for start in range(0, len(rows), CHUNK):
        hashes, _ = _shingles(stored, rows[start : start + CHUNK])
        counts += np.bincount(hashes, minlength=BUCKETS)
    return counts


def _scores(stored: Stored, rows: np.ndarray, evidence_H: np.ndarray) -> np.ndarray:
    """Mean evidence (N,) of each text's shingles that it is of the first side; NaN where it is too short."""
    found = []
    for start in range(0, len(rows), CHUNK):
        hashes, numbers = _shingles(stored, rows[start : start + CHUNK])
        total = np.bincount(np.repeat(np.arange(len(numbers)), numbers), evidence_H[hashes], minlength=len(numbers))
        found.append(np.where(numbers >= LEAST_LETTERS, total / np.maximum(1, numbers), np.nan))
    return np.concatenate(found)


def _shingles(stored: Stored, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hashes, numbers = shingles([stored.arrays["utf8"][row] for row in rows.tolist()], length=SHINGLE)
    return (hashes >> np.uint64(48)).astype(np.int64), numbers
