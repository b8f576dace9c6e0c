"""The doctor: what is wrong with the data, said before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding

if TYPE_CHECKING:
    from engram.data.examples import Examples
    from engram.data.store import Stored
    from engram.data.table import Column, Table

SHOWN = 5
"""Paths and names a finding shows; how many more there are is said."""

UNREADABLE_LIMIT = 0.05
"""Above this share of unreadable values something is wrong with the data as a whole, and training stops."""

UNBALANCED = 20
"""A class this many times larger than another is worth a warning."""


def inspect(*, examples: Examples, table: Table, roles: Mapping[str, Column]) -> list[Finding]:
    """Examine prepared examples and return what was found, the worst first.

    roles: role -> column of the table, by which rows are named. What reading the table and splitting it found is
    in `Table.findings` and `Splits.findings` and not repeated here.
    """
    findings: list[Finding] = []
    labels = {role: values for role, values in examples.stored.items() if {"name", "names"} & set(values.arrays)}
    for role, values in examples.stored.items():
        findings += unreadable(values, role)
        findings += examples.features[role].check(values, np.flatnonzero(values.ok))
        if role not in labels and values.arrays:
            findings += sizes(values)
            findings += duplicates(values, roles[role], next(iter(labels.values()), None))
    for values in labels.values():
        findings += classes(values, examples.splits)
    return sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding.severity))


def stop_if_unusable(findings: Sequence[Finding]) -> None:
    """Raise DataError for the first finding that is an error: too much unreadable, one class only."""
    for finding in findings:
        if finding.severity == "error":
            shown = "".join(f"\n  {where}" for where in finding.where[:SHOWN])
            more = f"\n  ... and {len(finding.where) - SHOWN:,} more" if len(finding.where) > SHOWN else ""
            raise DataError(f"{finding.message}.{shown}{more}\n{finding.fix}".strip())


def unreadable(stored: Stored, role: str) -> Iterator[Finding]:
    """Values that cannot be read, with path and reason; they are set aside."""
    if not stored.problems:
        return
    number, total = len(stored.problems), len(stored)
    severe = number > UNREADABLE_LIMIT * total
    if severe:
        said = f"{number:,} of {total:,} values of {role!r} cannot be read; expected at most {UNREADABLE_LIMIT:.0%}"
    else:
        said = f"{number:,} of {total:,} values of {role!r} cannot be read and are set aside"
    where = tuple(f"{problem.where}: {problem.reason}" for problem in stored.problems)
    yield Finding("error" if severe else "warning", "unreadable", said, where, "Mend or remove them")


def sizes(stored: Stored) -> Iterator[Finding]:
    """The sizes of pictures, as they are in the user's files."""
    sizes_N2 = stored.arrays.get("size")
    if sizes_N2 is None or not stored.ok.any():
        return
    rows = np.flatnonzero(stored.ok)
    sizes_N2 = np.asarray(stored.gather_one("size", rows))
    different = np.unique(sizes_N2, axis=0)
    if len(different) == 1:
        message = f"all pictures are {different[0][1]} x {different[0][0]} pixels (width x height)"
    else:
        height, width = np.median(sizes_N2, axis=0)
        low, high = sizes_N2.min(0), sizes_N2.max(0)
        message = (
            f"{len(different):,} different sizes, from {low[1]} x {low[0]} to {high[1]} x {high[0]} pixels "
            f"(width x height), median {width:.0f} x {height:.0f}"
        )
    yield Finding("info", "sizes", message)


def duplicates(stored: Stored, column: Column, labels: Stored | None) -> Iterator[Finding]:
    """Values with exactly equal content, and those of them that have different labels."""
    rows = np.flatnonzero(stored.ok)
    groups = list(_equal(stored.digest, rows))
    if not groups:
        return
    copies = sum(len(group) - 1 for group in groups)
    yield Finding(
        "info",
        "duplicates",
        f"{copies:,} exact copies of other rows; copies stay on one side of every split",
        tuple(" = ".join(_named(column, group)) for group in groups[:SHOWN]),
    )
    if labels is None or not labels.arrays:
        return
    said = next(iter(labels.arrays.values()))
    conflicts = [group for group in groups if len({str(said[row]) for row in group if labels.ok[row]}) > 1]
    if conflicts:
        yield Finding(
            "warning",
            "label_conflict",
            f"{len(conflicts):,} times the same content has different labels",
            tuple(" = ".join(_with_label(column, group, said)) for group in conflicts[:SHOWN]),
            "decide for one label, or leave these rows out",
        )


def _named(column: Column, rows: np.ndarray) -> list[str]:
    return [column.where(int(row)) for row in rows[:SHOWN]]


def _with_label(column: Column, rows: np.ndarray, said: Any) -> list[str]:
    return [f"{where} ({said[row]})" for where, row in zip(_named(column, rows), rows[:SHOWN], strict=True)]


def _equal(digest: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of rows with the same digest, where there are two or more."""
    words = np.ascontiguousarray(digest[rows]).view(np.uint64)
    order = np.lexsort(words.T)
    new = (words[order][1:] != words[order][:-1]).any(1)
    bounds = np.concatenate([[0], np.flatnonzero(new) + 1, [len(rows)]])
    for at in np.flatnonzero(np.diff(bounds) > 1):
        yield np.sort(rows[order[bounds[at] : bounds[at + 1]]])


def classes(labels: Stored, splits: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """How many examples each class has, and what is odd about that."""
    if "name" in labels.arrays:
        names = labels.arrays["name"]
        counts = Counter(names[row] for row in np.flatnonzero(labels.ok).tolist())
    elif "names" in labels.arrays:
        names = labels.arrays["names"]
        counts = Counter(name for row in np.flatnonzero(labels.ok).tolist() for name in names[row])
    else:
        return
    ranked = counts.most_common()
    listed = tuple(f"{name}: {number:,}" for name, number in ranked)
    yield Finding("info", "class_counts", f"{len(ranked):,} classes", listed)
    yield from _number_of_classes(ranked, several="names" in labels.arrays)
    yield from _look_alike(counts)
    if "train" in splits:
        yield from _unseen(names, splits, several="names" in labels.arrays)


def unknown_labels(examples: Examples, role: str) -> Iterator[Finding]:
    """Labels of new data that a fitted feature has never seen; `role` is that of the labels."""
    if role not in examples.stored or "test" not in examples.splits:
        return
    known = set(getattr(examples.features[role], "names", ()))
    stored = examples.stored[role]
    held = next(iter(stored.gather(examples.splits["test"]).values()), ())
    counts = Counter(name for value in held for name in ([value] if isinstance(value, str) else value))
    if unknown := {name: number for name, number in counts.items() if name not in known}:
        yield Finding(
            "warning",
            "unknown_label",
            f"{len(unknown):,} labels ({sum(unknown.values()):,} times) are none that the run has learned; "
            "they count as errors",
            tuple(sorted(unknown)[:SHOWN]),
            f"it knows {', '.join(sorted(known)[:SHOWN])}{', ...' if len(known) > SHOWN else ''}",
        )


def _number_of_classes(ranked: list[tuple[str, int]], *, several: bool) -> Iterator[Finding]:
    if len(ranked) < (1 if several else 2):
        only = f" ({ranked[0][0]})" if ranked else ""
        yield Finding(
            "error",
            "one_class",
            f"expected examples of two classes or more; there {'is one' if ranked else 'are none'}{only}",
            fix="Add examples of another class, or check which column or folder holds the labels",
        )
        return
    lonely = [name for name, number in ranked if number == 1]
    if lonely:
        yield Finding(
            "warning",
            "single_example",
            f"{len(lonely):,} classes have one example: learned from, never checked",
            tuple(lonely[:SHOWN]),
            "add examples, or leave the class out",
        )
    (most, largest), (least, smallest) = ranked[0], ranked[-1]
    if largest >= UNBALANCED * smallest:
        yield Finding(
            "warning",
            "unbalanced",
            f"classes are strongly unbalanced: {most!r} has {largest:,} examples, {least!r} has {smallest:,}",
            fix="accuracy alone will flatter; look at macro_f1 and at each class",
        )


def _look_alike(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Labels that differ only in case, spaces, hyphens or underscores are probably one."""
    alike: dict[str, list[str]] = {}
    for name in counts:
        alike.setdefault("".join(c for c in name.casefold() if c not in " -_"), []).append(name)
    pairs = [sorted(names) for names in alike.values() if len(names) > 1]
    if pairs:
        yield Finding(
            "warning",
            "similar_labels",
            f"{len(pairs):,} labels are written in more than one way",
            tuple(" = ".join(f"{name!r} ({counts[name]:,})" for name in names) for names in pairs[:SHOWN]),
            "write each label in one way",
        )


def _unseen(names: Sequence[Any], splits: Mapping[str, np.ndarray], *, several: bool) -> Iterator[Finding]:
    """Classes that are asked for and never taught."""

    def held(rows: np.ndarray) -> set[str]:
        return {n for row in rows.tolist() for n in (names[row] if several else [names[row]])}

    taught = held(splits["train"])
    for split in ("val", "test"):
        unseen = sorted(held(splits.get(split, np.arange(0))) - taught)
        if unseen:
            yield Finding(
                "warning",
                "unseen_class",
                f"{len(unseen):,} classes in {split} have no training example and count as errors there",
                tuple(unseen[:SHOWN]),
                "add training examples of them, or check how the labels are written",
            )
