"""The doctor: what is wrong with the data, said before anything is learned from it. One file per examination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding, Fix
from engram.data.doctor.classes import classes, stray_spaces, unknown_labels
from engram.data.doctor.duplicates import conflicting_numbers, duplicates
from engram.data.doctor.leakage import leakage
from engram.data.doctor.naming import SHOWN, named
from engram.data.doctor.pairs import pairs
from engram.data.doctor.shift import shift
from engram.data.doctor.shortcuts import shortcuts
from engram.data.doctor.values import sizes, unreadable
from engram.data.stored import is_named

if TYPE_CHECKING:
    from engram.data.doctor.copies import Copies
    from engram.data.examples import Examples
    from engram.data.stored import Stored
    from engram.data.table import Column, Table

__all__ = ["inspect", "sparing", "stop_if_unusable", "unknown_labels"]


def inspect(
    *, examples: Examples, table: Table, roles: Mapping[str, Column], copies: Mapping[str, Copies]
) -> list[Finding]:
    """Examine prepared examples and return what was found, the worst first.

    roles: role -> column of the table, by which rows are named. copies: input's role -> its copies. What reading
    the table and splitting it found is in `Table.findings` and `Splits.findings` and not repeated here.
    """
    found: list[Finding] = []
    labels = {role: values for role, values in examples.stored.items() if is_named(values)}
    label = next(iter(labels.values()), None)
    for role, values in examples.stored.items():
        rows = np.flatnonzero(values.ok)
        found += unreadable(values, role)
        found += _placed(examples.features[role].check(values, rows), roles[role])
        if role in copies and values.arrays:
            found += sizes(values)
            found += duplicates(copies[role].of(rows), roles[role], label, changed=examples.features[role].near_copies)
            if label is not None:
                found += shortcuts(examples.features[role], roles[role], values, label)
        if roles[role].kind == "record":
            found += _of_records(examples, table, role, target=_target(examples, roles))
            if (numbers := next((s for s in examples.stored.values() if "number" in s.arrays), None)) is not None:
                found += conflicting_numbers(copies[role].of(rows), roles[role], numbers)
    for role, values in labels.items():
        found += stray_spaces(roles[role])
        found += classes(values, examples.splits)
    texts = [role for role, values in examples.stored.items() if "utf8" in values.arrays]
    if len(texts) == 2:
        found += pairs(examples, roles, texts)
    found = [sparing(finding, table) for finding in found]
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.severity))


def _target(examples: Examples, roles: Mapping[str, Column]) -> tuple[str, Stored] | None:
    """Name and values of what is to be predicted; None where they are not known."""
    for role, values in examples.stored.items():
        if values.arrays.keys() & {"name", "names", "number"}:
            return roles[role].name, values
    return None


def _of_records(examples: Examples, table: Table, role: str, *, target: tuple[str, Stored] | None) -> Iterator[Finding]:
    """What columns say of the target, and of given splits."""
    feature, values = examples.features[role], examples.stored[role]
    if target is not None:
        yield from leakage(feature, values, target[1], name=target[0])
    if table.split is not None:
        yield from shift(feature, values, examples.splits)


def stop_if_unusable(findings: Sequence[Finding]) -> None:
    """Raise DataError for the first finding that is an error: too much unreadable, one class only."""
    for finding in findings:
        if finding.severity == "error":
            shown = "".join(f"\n  {where}" for where in finding.where[:SHOWN])
            more = f"\n  ... and {len(finding.where) - SHOWN:,} more" if len(finding.where) > SHOWN else ""
            raise DataError(f"{finding.message}.{shown}{more}\n{finding.fix}".strip())


def _placed(findings: Iterable[Finding], column: Column) -> Iterator[Finding]:
    """Name the rows that a feature found: it knows values, not where they come from."""
    for finding in findings:
        rows = [fix.row for fix in finding.fixes]
        yield finding if finding.where else replace(finding, where=tuple(named(column, rows)))


def sparing(finding: Finding, table: Table) -> Finding:
    """Propose no change to a test set that was given: whether its labels are wrong is not for engram to decide."""
    if table.split is None or not finding.fixes:
        return finding
    return replace(finding, fixes=tuple(fix if table.split[fix.row] != "test" else _left(fix) for fix in finding.fixes))


def _left(fix: Fix) -> Fix:
    return fix if fix.action == "keep" else replace(fix, action="keep", reason=f"{fix.reason} (a given test row)")
