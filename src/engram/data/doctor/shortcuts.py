"""A source that betrays the label: facts of how a value came to be that tell its class without looking at it.

If all cats are PNG files and all dogs JPEG, a network may learn the traces of JPEG instead of dogs, score well on
such data, and fail on any other. Each fact is judged by how well it predicts labels that it was not fitted on.

Shapes: N rows, C classes, K different values of a fact, F folds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.evidence import Finding
from engram.data.doctor.naming import SHOWN, joined, label_values

if TYPE_CHECKING:
    from engram.data.stored import Stored
    from engram.data.table import Column
    from engram.features.feature import Feature

LOOKED_AT = 2000
"""Rows, evenly spread: opening a file again takes a tenth of a millisecond."""

FOLDS = 5
BINS = 12
"""Numbers with more values than this are taken together."""

TELLING = 0.9
"""Youden's index (share of a class that is recognised, less share of others taken for it) of no honest fact."""

LEAST = 10
"""Rows of a class: of fewer nothing can be said."""


def shortcuts(feature: Feature, column: Column, stored: Stored, labels: Stored) -> Iterator[Finding]:
    """Name the facts that tell some class nearly as well as looking would."""
    rows = np.flatnonzero(stored.ok & labels.ok)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(np.int64))]
    if len(rows) < 2 * LEAST:
        return
    names, label = np.unique([joined(label_values(labels)[row]) for row in rows], return_inverse=True)
    if len(names) < 2:
        return
    for fact, values in feature.circumstances(column, stored, rows).items():
        code, said = _coded(values)
        if len(said) < 2:
            continue
        told, accuracy = predicted(code, label, num_codes=len(said), num_classes=len(names))
        betrayed = [c for c in np.argsort(-told, kind="stable") if told[c] >= TELLING]
        if betrayed:
            yield _betrayal(fact, names, betrayed, code, said, label, accuracy)


def _coded(values: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """Number the different values of a fact, numbers by ranges where they are many; return numbers and names."""
    if all(isinstance(value, float) for value in values) and len(set(values)) > BINS:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
        code = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        return code, [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    found, code = np.unique([str(value) for value in values], return_inverse=True)
    return code, [name or "none" for name in found.tolist()]


def predicted(code: np.ndarray, label: np.ndarray, *, num_codes: int, num_classes: int) -> tuple[np.ndarray, float]:
    """How well a fact tells each class (C,) that it was not fitted on, and the share of labels it predicts."""
    fold = np.random.default_rng(0).permutation(len(label)) % FOLDS
    counts_FKC = np.zeros((FOLDS, num_codes, num_classes))
    np.add.at(counts_FKC, (fold, code, label), 1)
    rest_FKC = counts_FKC.sum(0) - counts_FKC
    prior_FC = rest_FKC.sum(1) / np.maximum(rest_FKC.sum((1, 2)), 1)[:, None]
    chance_FKC = (rest_FKC + prior_FC[:, None]) / (rest_FKC.sum(2, keepdims=True) + 1)
    accuracy = float((chance_FKC.argmax(2)[fold, code] == label).mean())
    taken_NC = (chance_FKC > prior_FC[:, None])[fold, code]
    is_NC = label[:, None] == np.arange(num_classes)
    size_C = is_NC.sum(0)
    recall_C = (taken_NC & is_NC).sum(0) / np.maximum(size_C, 1)
    false_C = (taken_NC & ~is_NC).sum(0) / np.maximum(len(label) - size_C, 1)
    return np.where(size_C >= LEAST, recall_C - false_C, 0.0), accuracy


def _betrayal(
    fact: str,
    names: np.ndarray,
    betrayed: Sequence[Any],
    code: np.ndarray,
    said: Sequence[str],
    label: np.ndarray,
    accuracy: float,
) -> Finding:
    majority = np.bincount(label).max() / len(label)
    where = []
    for c in betrayed[:SHOWN]:
        most, number = Counter(code[label == c].tolist()).most_common(1)[0]
        others = (code[label != c] == most).mean()
        where.append(
            f"{names[c]}: {fact} {said[most]} in {number / (label == c).sum():.0%}, {others:.0%} of the others"
        )
    message = (
        f"the {fact} betrays the label of {len(betrayed):,} classes: alone it predicts {accuracy:.0%} of "
        f"the labels (the commonest class: {majority:.0%})"
    )
    fix = "bring all classes to one form, or take them from one source: else the network may learn the source"
    return Finding("warning", f"shortcut_{fact.replace(' ', '_')}", message, tuple(where), fix)
