"""Copies among the rows, and copies that have different labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.evidence import Finding, Fix
from engram.data.doctor.naming import SHOWN, joined, label_values, named

if TYPE_CHECKING:
    from engram.data.doctor.copies import Copies
    from engram.data.stored import Stored
    from engram.data.table import Column


def duplicates(copies: Copies, column: Column, labels: Stored | None, *, changed: str) -> Iterator[Finding]:
    """Exact and near copies, and those of them that have different labels. changed: how near copies may differ."""
    exact, near = np.flatnonzero(copies.exact), np.flatnonzero(copies.copied & ~copies.exact)
    if len(exact):
        said = f"{len(exact):,} exact copies of other rows; copies stay on one side of every split"
        yield _copied("duplicates", said, exact, copies, column, "an exact copy of")
    if len(near):
        said = f"{len(near):,} near copies of other rows ({changed}) and stay with them"
        yield _copied("near_duplicates", said, near, copies, column, "nearly the same as")
    said = label_values(labels)
    if labels is None or said is None:
        return
    groups = [group for group in copies.groups() if len({joined(said[row]) for row in group if labels.ok[row]}) > 1]
    equal = [group for group in groups if _equal_disagree(group, copies, said)]
    alike = [group for group in groups if not _equal_disagree(group, copies, said)]
    yield from _conflicts("label_conflict", "the same content has different labels", equal, column, said)
    yield from _conflicts("near_label_conflict", "nearly the same content has different labels", alike, column, said)


def conflicting_numbers(copies: Copies, column: Column, numbers: Stored) -> Iterator[Finding]:
    """Exact copies that have different numbers as their target."""
    values = numbers.arrays["number"]
    rows = [group[numbers.ok[group]] for group in copies.groups()]
    groups = [group for group in rows if len({float(values[row]) for row in group.tolist()}) > 1]
    if groups:
        gap = max(float(np.ptp([values[row] for row in group.tolist()])) for group in groups)
        shown = [
            " = ".join(
                f"{where} ({float(values[row]):g})" for where, row in zip(named(column, group), group, strict=False)
            )
            for group in groups[:SHOWN]
        ]
        message = f"{len(groups):,} times equal rows have different targets, up to {gap:g} apart"
        fix = "no model can tell them apart; is a column missing that does?"
        yield Finding("info", "number_conflict", message, tuple(shown), fix)


def _copied(kind: str, said: str, rows: np.ndarray, copies: Copies, column: Column, what: str) -> Finding:
    shown = tuple(" = ".join(named(column, (copies.leader[row], row))) for row in rows[:SHOWN])
    fixes = [Fix(int(row), "drop", f"{what} {column.where(int(copies.leader[row]))}") for row in rows]
    return Finding("info", kind, said, shown, fixes=tuple(fixes))


def _equal_disagree(group: np.ndarray, copies: Copies, said: Any) -> bool:
    """Whether rows of a group that are exactly equal disagree, so far as that can be told from who follows whom."""
    sure = [row for row in group if copies.exact[row] or row == copies.leader[row]]
    return len({joined(said[row]) for row in sure}) > 1


def _conflicts(kind: str, what: str, groups: list[np.ndarray], column: Column, said: Any) -> Iterator[Finding]:
    if groups:
        shown = tuple(
            " = ".join(
                f"{where} ({joined(said[row])})" for where, row in zip(named(column, group), group[:SHOWN], strict=True)
            )
            for group in groups[:SHOWN]
        )
        yield Finding(
            "warning",
            kind,
            f"{len(groups):,} times {what}",
            shown,
            "decide for one label, or leave these rows out",
            tuple(fix for group in groups for fix in _settled(group, said, what)),
        )


def _settled(group: np.ndarray, said: Any, what: str) -> Iterable[Fix]:
    """What most of the copies say holds; where none is said most, none can be believed."""
    (label, number), *_ = Counter(joined(said[row]) for row in group).most_common()
    if 2 * number <= len(group):
        return [Fix(int(row), "drop", what) for row in group]
    others = [row for row in group if joined(said[row]) != label]
    return [Fix(int(row), "relabel", f"{what}; most say {label}", label, number / len(group)) for row in others]
