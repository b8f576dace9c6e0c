"""Who learns, who chooses, who is asked: rows for training, validation and test.

A pure function of content and seed: the order of rows, file names and machines change nothing. Exact duplicates
and groups (a patient, a scene) stay on one side. Test sets that were given are never altered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.packed import coded
from engram.data.stored import equal_digests

SPLITS = ("train", "val", "test")
SHARE = 0.1
"""Of what is divided, for validation and for test."""

SHOWN = 5
TRAIN, VAL, TEST, UNDECIDED, DROPPED = 0, 1, 2, 3, 4
IN_ORDER = {"val": 0.85, "test": 0.9}
"""From where on a running text is for validation and for test; its end is what a reader has not seen."""


@dataclass
class Splits:
    """rows: "train", "val", "test" -> sorted row numbers. findings: leaks and classes too small to be split."""

    rows: dict[str, np.ndarray]
    findings: list[Finding] = field(default_factory=list)


def assign(
    *,
    labels: Sequence[Any] | None,
    digests: np.ndarray,
    given: np.ndarray | None = None,
    groups: np.ndarray | Sequence[Any] | None = None,
    position: np.ndarray | None = None,
    seed: int = 0,
    val: float = SHARE,
    test: float = SHARE,
    usable: np.ndarray | None = None,
    where: Callable[[int], str] | None = None,
) -> Splits:
    """Assign every usable row to a split.

    labels: a name, or a list of names, per row; each label is split in proportion. digests: uint8 (N, 16).
    given: "train", "val", "test" or "" per row. position: where in a running text a row stands, 0 to 1, NaN for one
    that stands alone; running texts are divided by it (`IN_ORDER`), so that neighbours stay together. val, test:
    shares of what is divided otherwise. usable: bool (N,), rows that could be read. DataError where nothing is left
    to learn from.
    """
    number = len(digests)
    usable = np.ones(number, dtype=bool) if usable is None else np.asarray(usable, dtype=bool)
    side = _given_sides(given, number)
    side[~usable] = DROPPED
    unit = _units(digests, groups, usable)
    findings = _drop_leaks(side, unit, digests, where or str)
    names, label = _label_numbers(labels, number)
    wanted = _wanted(side, val, test)
    if position is not None and _divide_in_order(side, np.asarray(position), wanted):
        findings += _drop_leaks(side, unit, digests, where or str)
    if wanted:
        findings += _divide(side, unit, label, names, _keys(digests, seed), wanted)
    rows = {name: np.flatnonzero(side == code) for code, name in enumerate(SPLITS)}
    if len(rows["train"]) == 0:
        raise DataError(
            "expected rows to train on; after given splits and duplicates of test rows were set aside, none is left. "
            "Check the split column or the train/ folder."
        )
    if len(rows["val"]) == 0 and val > 0:
        findings.append(_nothing_to_check(len(np.unique(unit[usable])), groups is not None))
    return Splits({name: chosen for name, chosen in rows.items() if len(chosen)}, findings)


def _given_sides(given: np.ndarray | None, number: int) -> np.ndarray:
    side = np.full(number, UNDECIDED, dtype=np.int8)
    if given is not None:
        given = np.asarray(given)
        for code, name in enumerate(SPLITS):
            side[given == name] = code
    return side


def _wanted(side: np.ndarray, val: float, test: float) -> dict[int, float]:
    """Say which splits are to be made, and leave as UNDECIDED the rows that they are made from.

    What was given as training rows is divided too where a split is missing: nobody validates on nothing.
    """
    present = {code for code in (TRAIN, VAL, TEST) if (side == code).any()}
    wanted = {code: share for code, share in ((TEST, test), (VAL, val)) if code not in present and share > 0}
    side[side == (TRAIN if wanted else UNDECIDED)] = UNDECIDED if wanted else TRAIN
    return wanted


def _divide_in_order(side: np.ndarray, position: np.ndarray, wanted: dict[int, float]) -> bool:
    """Divide undecided pieces of running texts by where they stand; tell whether there were any."""
    rows = np.flatnonzero((side == UNDECIDED) & np.isfinite(position))
    edges = {TEST: IN_ORDER["test"], VAL: IN_ORDER["val" if TEST in wanted else "test"]}
    side[rows] = TRAIN
    for code in (VAL, TEST):
        if code in wanted:
            side[rows[position[rows] >= edges[code]]] = code
    return bool(len(rows)) and bool(wanted)


def _units(digests: np.ndarray, groups: np.ndarray | Sequence[Any] | None, usable: np.ndarray) -> np.ndarray:
    """Number the sets of rows that must stay together: equal content, equal group, and chains of both."""
    unit = equal_digests(digests)[1]
    unit[~usable] = unit.max(initial=0) + 1 + np.arange((~usable).sum())  # nothing is known of their content
    if groups is None:
        return unit
    group = coded(_group_names(groups))[1]
    while True:  # spread the least number through shared groups and shared content until nothing changes
        spread = _least(_least(unit, group), unit)
        if (spread == unit).all():
            return unit
        unit = spread


def _group_names(groups: np.ndarray | Sequence[Any]) -> list[Any]:
    """Rows without a group (empty, None) are groups of their own."""
    return [f"\0{row}" if g is None or g == "" or g != g else str(g) for row, g in enumerate(groups)]


def _least(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """For each row the least value among the rows with the same `by`."""
    least = np.full(by.max(initial=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, by, values)
    return least[by]


def _label_numbers(labels: Sequence[Any] | None, number: int) -> tuple[list[str], np.ndarray]:
    """Number labels by their sorted names; several labels of one row count as one joined name."""
    if labels is None:
        return [""], np.zeros(number, dtype=np.int64)
    different, code = coded(labels)
    joined = [v if isinstance(v, str) else _joined(v) for v in different]
    names = sorted(set(joined))
    rank = {name: place for place, name in enumerate(names)}
    return names, np.array([rank[name] for name in joined], np.int64)[code]


def _joined(label: Any) -> str:
    if isinstance(label, list | tuple | set | frozenset):
        return "|".join(sorted(map(str, label)))
    return "" if label is None else str(label)


def _drop_leaks(side: np.ndarray, unit: np.ndarray, digests: np.ndarray, where: Callable[[int], str]) -> list[Finding]:
    """Drop rows whose content or group stands in a given split that must not be known: test before val before train."""
    findings = []
    for guarded, weaker in ((TEST, (VAL, TRAIN, UNDECIDED)), (VAL, (TRAIN, UNDECIDED))):
        protected = np.zeros(unit.max(initial=0) + 1, dtype=bool)
        protected[unit[side == guarded]] = True
        leaked = protected[unit] & np.isin(side, weaker)
        if leaked.any():
            findings.append(_leak(np.flatnonzero(leaked), SPLITS[guarded], where))
            side[leaked] = DROPPED
    return findings


def _leak(rows: np.ndarray, split: str, where: Callable[[int], str]) -> Finding:
    return Finding(
        "warning",
        "leak",
        f"{len(rows):,} rows outside the {split} set repeat rows in it, or in their groups, and are left out",
        tuple(where(int(row)) for row in rows[:SHOWN]),
        f"remove the copies, so that the {split} set asks about what was not learned",
    )


def _keys(digests: np.ndarray, seed: int) -> np.ndarray:
    """A random number (uint64) per row from its content and the seed alone (the finaliser of splitmix64)."""
    words = np.ascontiguousarray(digests[:, :16]).view(np.uint64)
    mixed = words[:, 0] ^ (words[:, -1] << np.uint64(1)) ^ np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed


def _divide(
    side: np.ndarray,
    unit: np.ndarray,
    label: np.ndarray,
    names: list[str],
    keys: np.ndarray,
    wanted: dict[int, float],
) -> list[Finding]:
    """Divide the undecided rows: in each label, units in the order of their keys, first test, then val, then train."""
    rows = np.flatnonzero(side == UNDECIDED)
    if len(rows) == 0:
        return []
    units, row_unit, sizes = np.unique(unit[rows], return_inverse=True, return_counts=True)
    row_unit = row_unit.reshape(-1)
    unit_key = np.full(len(units), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(unit_key, row_unit, keys[rows])
    unit_label = _most_common(row_unit, label[rows], len(units))
    order = np.lexsort((unit_key, unit_label))
    bounds = np.flatnonzero(np.diff(unit_label[order])) + 1
    unit_side = np.full(len(units), TRAIN, dtype=np.int8)
    strata = np.split(order, bounds)
    targets = _targets(np.array([sizes[s].sum() for s in strata]), np.array([len(s) for s in strata]), wanted)
    for number, stratum in enumerate(strata):
        unit_side[stratum] = _stratum_sides(sizes[stratum], {code: rows_S[number] for code, rows_S in targets.items()})
    side[rows] = unit_side[row_unit]
    lonely = [names[unit_label[stratum[0]]] for stratum in strata if len(stratum) == 1]
    return [_lonely(lonely)] if lonely and len(names) > 1 else []


def _most_common(row_unit: np.ndarray, row_label: np.ndarray, number: int) -> np.ndarray:
    """The label that most rows of each unit have; the first by name where several do."""
    width = int(row_label.max()) + 1
    pairs, counts = np.unique(row_unit * width + row_label, return_counts=True)
    order = np.lexsort((-(pairs % width), counts, pairs // width))  # the last of each unit is its most common
    most = np.empty(number, dtype=np.int64)
    most[pairs[order] // width] = pairs[order] % width
    return most


def _targets(rows_S: np.ndarray, units_S: np.ndarray, wanted: dict[int, float]) -> dict[int, np.ndarray]:
    """How many rows each label (S of them) gives to each wanted split.

    Shares are rounded so that they add up over all labels. Where few labels would be left without a row they get
    one (with two or three units for validation, which chooses the best weights, before test); where most are so
    small, that would take a multiple of the share from training, and the rounding stands.
    """
    targets = {}
    for code, share in wanted.items():
        target_S = np.diff(np.floor(np.cumsum(rows_S) * share + 0.5).astype(np.int64), prepend=0)
        tiny_S = units_S < (4 if code == TEST and VAL in wanted else 2)
        lacking_S = (target_S < 1) & ~tiny_S
        if lacking_S.sum() + (target_S[tiny_S] > 0).sum() <= max(5, target_S.sum() // 4):
            target_S[lacking_S], target_S[tiny_S] = 1, 0
        targets[code] = target_S
    return targets


def _stratum_sides(sizes: np.ndarray, targets: dict[int, int]) -> np.ndarray:
    """Sides of one label's units in their order. Training always keeps one; a unit goes where its middle falls."""
    sides = np.full(len(sizes), TRAIN, dtype=np.int8)
    middle = np.cumsum(sizes) - sizes / 2
    start, reached = 0, 0
    for code, target in targets.items():
        reached += target
        stop = max(int(np.searchsorted(middle, reached)), start + min(target, 1))
        stop = min(stop, len(sizes) - 1)
        sides[start:stop] = code
        start = max(start, stop)
    return sides


def _lonely(names: list[str]) -> Finding:
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return Finding(
        "warning",
        "tiny_class",
        f"{len(names):,} classes have a single example (or group): learned from, never checked: {shown}",
        tuple(names[:SHOWN]),
        "add examples, or leave the class out",
    )


def _nothing_to_check(number: int, grouped: bool) -> Finding:
    kind = "groups" if grouped else "examples"
    return Finding(
        "error",
        "too_few",
        f"expected enough different {kind} to set some aside for validation; {number:,} are too few",
        fix="Add examples (a class is divided from two on; copies count once), or give validation rows of your own",
    )
