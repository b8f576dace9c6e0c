"""Classes: how many examples each has, which are too few, and labels that are odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.evidence import Finding
from engram.data.doctor.naming import SHOWN
from engram.data.source.cells import NOTHING
from engram.data.stored import is_named
from engram.features._fields.field import is_missing

if TYPE_CHECKING:
    from engram.data.examples import Examples
    from engram.data.stored import Stored
    from engram.data.table import Column

UNBALANCED = 20
"""A class this many times larger than another is worth a warning."""

APART = 0.9
"""Different labels, as a share of the rows, from which on they name the rows."""

FEW = 5
"""Of fewer examples little is learned, and the score of the class says nothing."""


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
    yield from _called_like_nothing(counts)
    if "train" in splits:
        yield from _unseen(names, splits, several="names" in labels.arrays)


def stray_spaces(column: Column) -> Iterator[Finding]:
    """Labels with spaces before or after them, which are read without."""
    values = [value for value in column.values if isinstance(value, str)] if column.kind == "text" else []
    odd = Counter(value for value in values if value != value.strip())
    if odd:
        shown = tuple(f"{value!r}: {number:,}" for value, number in odd.most_common(SHOWN))
        message = f"{odd.total():,} labels have spaces before or after them and are read without"
        yield Finding("info", "stray_spaces", message, shown, "remove the spaces")


def unknown_labels(examples: Examples, role: str) -> Iterator[Finding]:
    """Labels of new data that a fitted feature has never seen; `role` is that of the labels."""
    if role not in examples.stored or "test" not in examples.splits:
        return
    stored = examples.stored[role]
    if not is_named(stored):
        return
    known = set(getattr(examples.features[role], "names", ()))
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
    if len(ranked) > APART * (total := sum(number for _, number in ranked)) and total >= 20 and not several:
        yield Finding(
            "error",
            "id_target",
            f"expected labels that rows have in common; {len(ranked):,} different ones in {total:,} rows name them",
            fix="Check which column holds the labels",
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
    few = [f"{name}: {number}" for name, number in ranked if 1 < number < FEW]
    if few:
        yield Finding(
            "warning",
            "few_examples",
            f"{len(few):,} classes have fewer than {FEW} examples: too few to learn from, and to judge by",
            tuple(few[:SHOWN]),
            "add examples, join the class with another, or leave it out",
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


def _called_like_nothing(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Labels that elsewhere stand for a missing one, such as NA, are learned as classes: perhaps they are none."""
    odd = [f"{name!r}: {number:,}" for name, number in counts.items() if is_missing(name) or name in NOTHING]
    if odd:
        message = f"{len(odd):,} classes are called like a missing label, and are learned as any other"
        yield Finding("warning", "missing_class", message, tuple(odd), "leave these cells empty, if that is meant")


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
