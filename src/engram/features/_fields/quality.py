"""What is odd about the columns of a table, looked at one by one and beside one another; the target is not asked.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from engram.core.evidence import Finding, Fix
from engram.features._fields.field import Field

LOOKED_AT = 200_000
"""Rows by which it is told how numbers are spread."""

FAR = 1000.0
"""A number that is so many times as far from the middle as the middle half is wide stands by itself."""

PLACEHOLDERS = (0.0, -1.0, *(sign * (10.0**digits - 1) for digits in range(2, 8) for sign in (1, -1)))
"""Numbers that often stand for a missing one: 0, -1, 99, -99, 999 and so on."""

SELDOM = 0.002
"""Where a smaller share of rows has another value, a column is nearly constant."""

MOSTLY = 0.5
SHOWN = 20

TOGETHER = 20_000
"""Rows by which columns are compared with one another."""

Read = tuple[Field, np.ndarray]
"""A field and what was read of it, one number a row."""


Reader = Callable[[Field, np.ndarray], np.ndarray]
"""Gives the cells of a field in some rows: columns are read one at a time, so that memory stays flat."""


def check(fields: Sequence[Field], read: Reader, rows: np.ndarray) -> Iterator[Finding]:
    """Examine columns in some rows."""
    for field in fields:
        cells = read(field, rows)
        lacking = float(field.missing(cells).mean()) if len(cells) else 0.0
        if lacking > MOSTLY:
            message = f"{lacking:.0%} of the cells of the column {field.name} are missing"
            yield Finding("info", "mostly_missing", message)
        if not field.is_code:
            yield from _numbers(field, cells, rows)
    some = rows[:: 1 + len(rows) // TOGETHER]
    columns = [(field, read(field, some)) for field in fields]
    yield from _nearly_constant(columns)
    yield from _alike(columns)


def _numbers(field: Field, cells: np.ndarray, rows: np.ndarray) -> Iterator[Finding]:
    infinite = np.isinf(cells)
    if infinite.any():
        message = f"{infinite.sum():,} cells of the column {field.name} are infinite and count as missing"
        yield _named("warning", "infinite", message, field, rows[infinite], "write a number there, or nothing")
    known = np.flatnonzero(np.isfinite(cells))
    if len(known) < 20 or field.kind != "number":
        return
    some = cells[known[:: 1 + len(known) // LOOKED_AT]]
    low, middle, high = np.quantile(some, (0.25, 0.5, 0.75))
    if (stands_for := _placeholder(cells[known], high - low)) is not None:
        where = rows[known[cells[known] == stands_for]]
        message = (
            f"the column {field.name} says {stands_for:g} in {len(where):,} rows, far from all other numbers in it: it "
            "may stand for a missing one"
        )
        yield _named("warning", "placeholder", message, field, where, "leave these cells empty, if it does")
    far = known[np.abs(cells[known] - middle) > FAR * (high - low)] if high > low else known[:0]
    if len(far) and len(far) <= 0.01 * len(known):
        worst = cells[far[np.abs(cells[far] - middle).argmax()]]
        message = f"{len(far):,} numbers of the column {field.name} are far from all others, such as {worst:g}"
        yield _named("warning", "extreme_number", message, field, rows[far], f"check them; the middle is {middle:g}")


def _placeholder(known: np.ndarray, width: float) -> float | None:
    """The number that recurs at one end, with a gap between it and all others; None where there is none."""
    for extreme, beyond in ((known.min(), 1), (known.max(), -1)):
        if extreme not in PLACEHOLDERS:
            continue
        others = known[known != extreme]
        if len(others) < 10 or len(known) - len(others) < 3:
            continue
        nearest = others.min() if beyond == 1 else others.max()
        within = others.max() - others.min() if extreme != 0 and abs(extreme) > 1 else width
        if abs(nearest - extreme) > max(width, 0.5 * within) > 0:
            return float(extreme)
    return None


def _nearly_constant(columns: Sequence[Read]) -> Iterator[Finding]:
    names = []
    for field, cells in columns:
        counts = np.unique(cells, return_counts=True)[1]
        if len(counts) and len(cells) >= 100 and counts.max() > (1 - SELDOM) * len(cells):
            names.append(f"{field.name}: {len(cells) - counts.max():,} of {len(cells):,} rows differ")
    if names:
        message = f"{len(names)} columns say nearly the same in every row"
        yield Finding("info", "nearly_constant", message, tuple(names), "leave them out: --columns NAME=ignore")


def _alike(columns: Sequence[Read]) -> Iterator[Finding]:
    """Columns that say the same, in the same words or in others."""
    by_count: dict[int, list[tuple[str, np.ndarray]]] = {}
    for field, cells in columns:
        values, codes = np.unique(np.nan_to_num(cells, nan=np.inf), return_inverse=True)
        if len(values) > 2:
            by_count.setdefault(len(values), []).append((field.name, codes.reshape(-1)))
    pairs = []
    for number, group in by_count.items():
        for place, (name, codes) in enumerate(group):
            for other, theirs in group[:place]:
                if _same(codes, theirs, number):
                    pairs.append(f"{other} = {name}")
                    break
    if pairs:
        message = f"{len(pairs)} columns say the same as another one, row by row"
        fix = "harmless, but their influence is divided; leave one of each out: --columns NAME=ignore"
        yield Finding("info", "duplicate_columns", message, tuple(pairs), fix)


def _same(codes: np.ndarray, others: np.ndarray, number: int) -> bool:
    """Whether two columns divide the rows alike; where nearly every row has its own value, in the same order too."""
    if 2 * number > len(codes):
        return bool((codes == others).all() or (codes == number - 1 - others).all())
    return len(np.unique(codes * number + others)) == number


def _named(severity: str, kind: str, message: str, field: Field, rows: np.ndarray, fix: str) -> Finding:
    fixes = tuple(Fix(int(row), "keep", message, score=0.2) for row in rows[:SHOWN])
    where = tuple(f"row[{row}]: {field.name}" for row in rows[:SHOWN].tolist())
    return Finding(severity, kind, message, where, fix, fixes)
