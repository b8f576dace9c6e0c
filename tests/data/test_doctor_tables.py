"""The doctor on tables: what gives the target away, numbers that stand for nothing, columns that say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engram.data import doctor
from engram.data.doctor import copies
from engram.data.examples import Examples
from engram.data.infer import rows_of
from engram.data.store import prepare
from engram.data.table import Column, Table
from engram.features.category import Category
from engram.features.number import Number
from engram.features.record import Record

RANDOM = np.random.default_rng(0)
N = 600
SPLITS = {"train": np.arange(400), "test": np.arange(400, N)}


def examined(tmp_path: Any, target: list[Any], *, given: bool = False, **columns: Any) -> dict[str, Any]:
    """Findings by kind, of columns beside a target."""
    kinds = {name: "text" if isinstance(values[0], str) else "number" for name, values in columns.items()}
    rows = rows_of({name: Column(name, list(values), kinds[name]) for name, values in columns.items()})
    goal = Column("y", target, "text" if isinstance(target[0], str) else "number")
    roles = {"record": rows, "label": goal}
    features: dict[str, Any] = {"record": Record.survey(rows), "label": Category() if goal.kind == "text" else Number()}
    stored = {role: prepare(column, features[role], cache=tmp_path) for role, column in roles.items()}
    for role, feature in features.items():
        feature.fit(stored[role], SPLITS["train"])
    split = np.repeat(["train", "test"], [400, N - 400]) if given else None
    found = doctor.inspect(
        examples=Examples(features, stored, SPLITS), table=Table(roles, "made", "", split=split), roles=roles,
        copies={"record": copies.find(features["record"], stored["record"])},
    )  # fmt: skip
    return {finding.kind: finding for finding in found}


def plain(number: int = N) -> np.ndarray:
    return RANDOM.normal(size=number)


def test_columns_that_give_the_target_away(tmp_path):
    label = np.where(plain() > 0, "yes", "no")
    found = examined(
        tmp_path, label.tolist(), honest=plain() + 2 * (label == "yes"), told=np.where(label == "yes", "Y", "N"),
        score=np.where(label == "yes", 1, -1) * (5 + plain() ** 2), other=RANDOM.choice(["a", "b"], N),
    )  # fmt: skip
    assert [where.split()[0] for where in found["leakage"].where] == ["told", "score"]
    assert found["leakage"].severity == "warning" and "y away" in found["leakage"].message
    price = np.exp(plain()) * 100
    found = examined(
        tmp_path, price.tolist(), tax=price * 0.19, log=np.log(price), size=price + 50 * plain(), same=price
    )
    assert [where.split()[0] for where in found["leakage"].where] == ["tax", "log", "same"]


def test_honest_columns_are_no_leak(tmp_path):
    label = np.where(plain() > 0, "yes", "no")
    found = examined(tmp_path, label.tolist(), strong=plain() + 3 * (label == "yes"), weak=plain())
    assert "leakage" not in found and "duplicate_columns" not in found


def test_numbers_that_stand_for_none_or_far_from_all(tmp_path):
    target = (plain() > 0).astype(str).tolist()
    age, pay, glucose = 40 + 10 * plain(), 1000 + 100 * plain(), 120 + 20 * plain()
    age[[3, 9, 27]], pay[5], glucose[:12] = -999, 1e9, 0
    width = plain()
    width[8] = np.inf
    found = examined(tmp_path, target, age=age, pay=pay, zero=np.abs(plain().round()), width=width)
    assert found["placeholder"].where == ("row[3]: age", "row[9]: age", "row[27]: age")
    assert found["extreme_number"].where == ("row[5]: pay",) and found["extreme_number"].fixes[0].action == "keep"
    assert found["infinite"].where == ("row[8]: width",)
    assert "says 0 in 12 rows" in examined(tmp_path, target, glucose=glucose)["placeholder"].message


def test_columns_that_say_the_same_or_nearly_nothing(tmp_path):
    grade = RANDOM.integers(0, 6, N)
    seldom = np.where(np.arange(N) == 77, "odd", "usual")
    lacking = [None if n % 3 else 1.5 * n for n in range(N)]
    found = examined(
        tmp_path, (plain() > 0).astype(str).tolist(), grade=grade, word=np.array(list("fedcba"))[grade], seldom=seldom,
        lacking=lacking, x=plain(), numbered=np.arange(N),
    )  # fmt: skip
    assert found["duplicate_columns"].where == ("grade = word",)
    assert found["nearly_constant"].where == ("seldom: 1 of 600 rows differ",)
    assert "67%" in found["mostly_missing"].message and found["unused_columns"].where[0].startswith("numbered: ")


def test_given_splits_that_are_not_alike(tmp_path):
    moved = plain()
    moved[400:] += 1
    town = np.where(np.arange(N) < 400, RANDOM.choice(["a", "b"], N), RANDOM.choice(["b", "c"], N))
    columns = {"same": plain(), "moved": moved, "town": town}
    target = (plain() > 0).astype(str).tolist()
    assert [w.split(":")[0] for w in examined(tmp_path, target, given=True, **columns)["shift"].where] == [
        "moved",
        "town",
    ]
    assert "shift" not in examined(tmp_path, target, **columns)


def test_equal_rows_with_equal_and_with_different_targets(tmp_path):
    x, z = plain(), plain()
    x[[5, 9]], z[[5, 9]] = x[2], z[2]
    label = np.where(plain() > 0, "yes", "no")
    label[[2, 5, 9]] = ["yes", "yes", "no"]
    found = examined(tmp_path, label.tolist(), x=x, z=z)
    assert (
        "2 exact copies" in found["duplicates"].message
        and "row[2] (yes) = row[5] (yes)" in found["label_conflict"].where[0]
    )
    price = plain()
    price[[2, 5]] = 1.0
    found = examined(tmp_path, price.tolist(), x=x, z=z)
    assert "once equal rows have different targets" in found["number_conflict"].message
    few = RANDOM.integers(0, 2, (N, 2))
    assert "duplicates" not in (found := examined(tmp_path, label.tolist(), x=few[:, 0], z=few[:, 1]))
    assert "equal by chance" in found["equal_rows"].message


@pytest.mark.parametrize("target", [list(range(7, N + 7)), [f"name {n}" for n in range(N)]])
def test_a_target_that_tells_rows_apart_is_refused(tmp_path, target):
    assert examined(tmp_path, target, x=plain())["id_target"].severity == "error"


def test_a_target_of_one_value_is_refused(tmp_path):
    assert examined(tmp_path, [3.5] * N, x=plain())["one_value"].severity == "error"
    assert examined(tmp_path, ["a"] * N, x=plain())["one_class"].severity == "error"
