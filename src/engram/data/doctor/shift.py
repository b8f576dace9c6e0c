"""Shift: given splits whose rows are not alike, so that what is learned from one says less of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.evidence import Finding

if TYPE_CHECKING:
    from engram.data.stored import Stored

LOOKED_AT = 20_000
LEAST = 100
"""Rows of a split; of fewer nothing can be said."""

SHIFTED = 0.2
"""The largest share of rows by which two splits differ, in where numbers lie or in how often names come."""

BY_CHANCE = 2.0
"""Times the difference that as many rows of one kind have by chance."""


def shift(feature: Any, stored: Stored, splits: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Name the columns of a record that differ between training rows and those of another given split."""
    train = splits.get("train", np.arange(0))
    for name in ("val", "test"):
        rows = splits.get(name, np.arange(0))
        if min(len(train), len(rows)) < LEAST:
            continue
        one, other = train[:: 1 + len(train) // LOOKED_AT], rows[:: 1 + len(rows) // LOOKED_AT]
        least = max(SHIFTED, BY_CHANCE * 1.36 * np.sqrt(1 / len(one) + 1 / len(other)))
        said = []
        for place, field in enumerate(feature.fields):
            if field.is_ragged:
                continue
            here, there = (feature.read_of(stored.arrays, some, place) for some in (one, other))
            gap = _gap(here, there, is_code=field.is_code)
            if gap >= least:
                said.append(f"{field.name}: {gap:.0%} of the rows; {field.summary(here)} -> {field.summary(there)}")
        if said:
            message = f"{len(said)} columns differ between the training rows and the given {name} rows"
            fix = f"scores on {name} tell of other rows than were learned from; is that what you want to know?"
            yield Finding("warning", "shift", message, tuple(said), fix)


def _gap(here: np.ndarray, there: np.ndarray, *, is_code: bool) -> float:
    """Kolmogorov and Smirnov's distance of numbers, the total variation of names."""
    if is_code:
        values, code = np.unique(np.concatenate([here, there]), return_inverse=True)
        code = code.reshape(-1)
        shares = [np.bincount(c, minlength=len(values)) / len(c) for c in (code[: len(here)], code[len(here) :])]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    here, there = np.sort(here[np.isfinite(here)]), np.sort(there[np.isfinite(there)])
    if not len(here) or not len(there):
        return float(len(here) != len(there))
    values = np.concatenate([here, there])
    shares = [np.searchsorted(some, values, side="right") / len(some) for some in (here, there)]
    return float(np.abs(shares[0] - shares[1]).max())
