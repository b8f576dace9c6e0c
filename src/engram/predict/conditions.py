"""Conditions on what is recommended, such as "genres=Comedy" or "year>=1990", by what the catalogue says of items.

Shapes: I items.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, nearest, unknown

CONDITION = re.compile(r"\s*(.+?)\s*(!=|>=|<=|=|>|<)\s*(.*?)\s*")
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def fulfilling(catalogue: Any, where: Any) -> np.ndarray | None:
    """Which items (I,) fulfil all conditions; None without conditions. where: one, several, or a mapping of values."""
    given = [where] if isinstance(where, str) else where or []
    if isinstance(given, Mapping):
        given = [f"{column}={value}" for column, value in given.items()]
    kept = [_fulfilling(catalogue, condition) for condition in given]
    return np.logical_and.reduce(kept) if kept else None


def _fulfilling(catalogue: Any, condition: str) -> np.ndarray:
    if (found := CONDITION.fullmatch(condition)) is None:
        raise ConfigError(f"expected a condition such as genres=Comedy or year>=1990; got {condition!r}")
    column, sign, wanted = found.groups()
    if column not in catalogue.columns:
        known = list(catalogue.columns)
        if not known:
            raise ConfigError("expected a catalogue with columns for conditions; this run's knows items by name alone")
        raise unknown("column of the catalogue", column, known)
    values = catalogue.columns[column]
    if sign in COMPARED:
        number = _number(wanted, condition)
        kept = [any(COMPARED[sign](each, number) for each in _numbers(of_item)) for of_item in values]
    else:
        kept = [wanted.lower() in [each.lower() for each in of_item] for of_item in values]
        if not any(kept):
            known = sorted({each for of_item in values for each in of_item})
            close = nearest(wanted, known)
            said = f"did you mean {close!r}?" if close else f"there are {', '.join(known[:8])}"
            raise ConfigError(f"expected a value that items have in {column}; none has {wanted!r}: {said}")
    return np.array(kept) != (sign == "!=")


def _number(text: str, condition: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"expected a number to compare with in {condition!r}; got {text!r}") from None


def _numbers(values: Sequence[str]) -> list[float]:
    return [float(value) for value in values if re.fullmatch(r"-?\d+(\.\d+)?", value)]
