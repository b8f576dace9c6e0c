"""Names: written in many ways, learned in natural order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engram.core.errors import DataError, RunError
from engram.data.store import prepare
from engram.data.table import Column
from engram.features.category import Category, canonical, natural


def fitted(values: list, rows: list[int] | None = None) -> tuple[Category, dict]:
    stored = prepare(Column("label", values, "text"), feature := Category())
    feature.fit(stored, np.arange(len(values)) if rows is None else np.array(rows))
    return feature, stored.gather(np.arange(len(values)))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (3, "3"),
        (3.0, "3"),
        ("3", "3"),
        (True, "true"),
        (np.True_, "true"),
        (np.int64(7), "7"),
        (0.5, "0.5"),
        (" cat ", "cat"),
        ("Cat", "Cat"),
        (np.float32(2), "2"),
        (torch.tensor(4), "4"),
        (-0.0, "0"),
        (np.str_("é"), "é"),
    ],
)
def test_canonical_names(value: object, name: str) -> None:
    assert canonical(value) == name


@pytest.mark.parametrize("value", [None, "", "  ", math.nan, np.float32("nan")])
def test_missing_labels_are_named(value: object) -> None:
    with pytest.raises(DataError, match=r"missing|empty"):
        Category().store(value)


def test_names_in_natural_order() -> None:
    feature, gathered = fitted(["10", "9", "2", "-", "b10", "b9", "2"])
    assert feature.names == ["2", "9", "10", "-", "b9", "b10"] and feature.size == 6
    assert feature.encode(gathered).tolist() == [2, 1, 0, 3, 5, 4, 0]
    assert feature.decode(feature.encode(gathered)) == gathered["name"]
    assert sorted(["9" * 5000, "1"], key=natural)[0] == "1"


def test_names_not_seen_in_training_are_minus_one() -> None:
    feature, gathered = fitted(["a", "b", "c"], rows=[0, 1])
    encoded = feature.encode(gathered)
    assert encoded.dtype == torch.int64 and encoded.tolist() == [0, 1, -1]
    assert feature.decode(encoded) == ["a", "b", None]


def test_state_comes_back_in_its_order() -> None:
    feature, gathered = fitted(["b", "a"])
    again = Category()
    again.load_state(*feature.state())
    assert again.encode(gathered).tolist() == [1, 0]


@pytest.mark.parametrize("names", [None, "ab", [1, 2], ["a", "a"], {"a": 1}])
def test_damaged_state_is_refused(names: object) -> None:
    with pytest.raises(RunError):
        Category().load_state({"names": names}, {})


def test_evidence() -> None:
    few, many = ["cat", "dog"] * 50, [f"name {n}" for n in range(100)]
    assert (
        Category.matches(Column("label", few, "text")).score > Category.matches(Column("colour", few, "text")).score > 0
    )
    assert not Category.matches(Column("anything", many, "text"))
    assert not Category.matches(Column("patient_id", [str(n // 2) for n in range(100)], "text"))
    assert not Category.matches(Column("weight", [n / 7 for n in range(100)], "number"))
    assert Category.matches(Column("label", [n % 10 for n in range(100)], "number")).score > 0.9
    assert not Category.matches(Column("label", [[1.0]], "array"))
    assert not Category.matches(Column("label", [], "text"))
    people = [f"s{n // 10}" for n in range(400)]
    assert Category.matches(Column("label", people, "text")).score > 0.9
