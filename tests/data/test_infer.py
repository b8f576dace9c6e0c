"""Which column plays which role: by evidence, by name, by what the user says; ties are refused."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from engram.core.errors import ConfigError, DataError
from engram.core.evidence import Evidence
from engram.core.task import Task
from engram.data.infer import columns_for, narrowed
from engram.data.table import Column, Table


class Fake:
    """Stands for a feature."""

    takes = "column"


class Picture(Fake):
    """Stands for a feature of pictures."""

    @classmethod
    def matches(cls, column: Column) -> Evidence:
        return Evidence(0.95 if column.kind == "path" else 0.0, f"its kind is {column.kind}")


class Name(Fake):
    """Stands for a feature of one label: few different values."""

    @classmethod
    def matches(cls, column: Column) -> Evidence:
        few = column.kind in ("text", "number") and len(set(column.values)) <= 3
        return Evidence(0.6 if few else 0.0, "few different values" if few else "too many different values")


class Names(Fake):
    """Stands for a feature of several labels."""

    @classmethod
    def matches(cls, column: Column) -> Evidence:
        return Evidence(0.6 if column.kind == "names" else 0.0, f"its kind is {column.kind}")


class Classify(Task):
    """One label."""

    inputs: ClassVar = {"image": Picture}
    target: ClassVar = {"label": Name}


class Tag(Task):
    """Several labels."""

    inputs: ClassVar = {"image": Picture}
    target: ClassVar = {"labels": Names}


ROWS = 12
PATHS = [f"{row}.png" for row in range(ROWS)]
KIND = ["a", "b", "c"] * 4
BIT = [0, 1, 1] * 4


def table(**columns: list[Any]) -> Table:
    kinds = {str: "text", int: "number", list: "names"}
    made = {n: Column(n, v, "path" if v is PATHS else kinds[type(v[0])], n) for n, v in columns.items()}
    return Table(made, "photos.csv", "")


def chosen(data: Table, task: Task, **wishes: Any) -> dict[str, str]:
    return {role: column.name for role, column in columns_for(data, task, **wishes)[0].items()}


def test_evidence_decides_and_is_told():
    data = table(file=PATHS, number=list(range(ROWS)), kind=KIND)
    roles, reasons = columns_for(data, Classify())
    assert {role: column.name for role, column in roles.items()} == {"image": "file", "label": "kind"}
    assert reasons[1] == "The label is the column kind: few different values."


def test_close_ties_are_refused_with_the_option_named():
    with pytest.raises(ConfigError, match=r"--target kind or --target sex"):
        columns_for(table(file=PATHS, kind=KIND, sex=["m", "f"] * 6), Classify())
    with pytest.raises(ConfigError, match=r"--input one or --input two"):
        columns_for(table(one=PATHS, two=PATHS, kind=KIND), Classify())


def test_a_column_called_like_the_role_wins_and_equal_classes_are_no_tie():
    assert chosen(table(image=PATHS, mask=PATHS, kind=KIND), Classify())["image"] == "image"
    data = table(file=PATHS, number=[0, 1, 2] * 4, kind=KIND)
    assert chosen(data, Classify())["label"] == "kind"


def test_overrides_win_whatever_the_evidence():
    data = table(one=PATHS, two=PATHS, kind=KIND, code=list(range(ROWS)))
    assert chosen(data, Classify(), target="code", inputs="two") == {"image": "two", "label": "code"}
    assert chosen(data, Classify(), target=(), inputs=["one"]) == {"image": "one"}
    with pytest.raises(ConfigError, match="did you mean 'kind'"):
        columns_for(data, Classify(), target="kin")
    with pytest.raises(ConfigError, match="at most 1"):
        columns_for(data, Classify(), inputs=["one", "two"])


def test_zeros_and_ones_become_several_labels_or_one():
    data = table(file=PATHS, cat=BIT, dog=[1, 0, 1] * 4, bird=[0, 0, 0] * 4)
    roles, reasons = columns_for(data, Tag())
    assert roles["labels"].values[:3] == [["dog"], ["cat"], ["cat", "dog"]]
    assert roles["labels"].name == "cat+dog+bird" and "zeros and ones" in reasons[0]
    hot = table(file=PATHS, cat=[1, 0, 0] * 4, dog=[0, 1, 0] * 4, bird=[0, 0, 1] * 4)
    assert columns_for(hot, Classify())[0]["label"].values[:3] == ["cat", "dog", "bird"]
    assert columns_for(data, Tag(), target=["cat", "dog"])[0]["labels"].name == "cat+dog"
    with pytest.raises(ConfigError, match="zeros and ones"):
        columns_for(table(file=PATHS, kind=KIND, n=list(range(ROWS))), Tag(), target=["kind", "n"])


def test_zeros_and_ones_beside_a_label_are_left_alone():
    data = table(file=PATHS, label=KIND, hidden=BIT, cut=[1, 0, 1] * 4)
    assert chosen(data, Classify())["label"] == "label"
    assert "hidden" in narrowed(data).columns


def test_narrowed_keeps_pictures_and_what_was_named():
    data = table(one=PATHS, two=PATHS, kind=KIND, sex=["m", "f"] * 6)
    assert list(narrowed(data, target="kind").columns) == ["one", "two", "kind"]
    assert list(narrowed(data, inputs="two").columns) == ["two", "kind", "sex"]


def test_no_column_for_a_role_says_why():
    with pytest.raises(DataError, match=r"none fits \(.*too many different values.*--target"):
        columns_for(table(file=PATHS, number=list(range(ROWS))), Classify())
