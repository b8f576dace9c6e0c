"""Fixes: a file that a person edits, and the view that it makes of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engram.core.errors import ConfigError, DataError
from engram.core.evidence import Finding, Fix
from engram.data import fixes, source
from engram.data.table import Column, Table

PATHS = ["/data/a/1.png", "/data/a/2.png", "/data/b/1.png", "/data/b/1.png"]


def table(values: list[str] = PATHS) -> tuple[Table, Column, Column]:
    image, label = Column("image", values, "path"), Column("label", ["a", "a", "b", "b"], "text", "1")
    return Table({"image": image, "label": label}, "/data/table.csv", "1"), image, label


def applied(text: str) -> fixes.View:
    return fixes.apply(fixes.Fixes("f.csv", text.encode()), *table())


def test_a_row_has_one_fix_the_strongest() -> None:
    weak, strong = Fix(3, "keep", "blurred"), Fix(3, "relabel", "looks like b", "b", 0.9)
    found = [Finding("info", "x", "", fixes=(weak, Fix(1, "drop", "copy"))), Finding("info", "y", "", fixes=(strong,))]
    assert fixes.gathered(found) == [Fix(1, "drop", "copy"), strong]


def test_what_is_written_can_be_read_and_applied(tmp_path: Path) -> None:
    data, image, label = table()
    lines = fixes.described(
        [Fix(0, "drop", "a copy"), Fix(1, "relabel", 'looks like "b"', "b", 0.97)], data, image, label.values
    )
    assert lines[0]["where"] == "a/1.png" and lines[1]["label"] == "a" and lines[1]["new_label"] == "b"
    fixes.write(tmp_path / "f.csv", lines)
    view = fixes.apply(fixes.read(tmp_path / "f.csv"), data, image, label)
    assert view.kept.tolist() == [False, True, True, True] and view.labels.values == ["a", "b", "b", "b"]
    assert label.values == ["a", "a", "b", "b"] and view.labels.fingerprint != label.fingerprint
    assert view.record()["drop"] == 1 and len(view.record()["sha256"]) == 64
    with pytest.raises(ConfigError, match="already"):
        fixes.write(tmp_path / "f.csv", lines)


def test_of_rows_with_one_name_the_number_decides() -> None:
    assert applied("row,where,action\n3,b/1.png,drop\n").kept.tolist() == [True, True, True, False]
    assert applied("where,action\nb/1.png,drop\n").kept.tolist() == [True, True, False, False]


def test_spreadsheets_may_save_with_semicolons_and_a_mark() -> None:
    view = applied("\ufeffwhere;action;new_label\na/1.png;Relabel; c \na/2.png;keep;\n")
    assert view.labels.values[0] == "c" and view.actions == {"keep": 1, "drop": 0, "relabel": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("where,action\na/1.png,delete\n", "f.csv, line 2.*delete"),
        ("where,action\na/9.png,drop\n", "line 2.*no row 'a/9.png'"),
        ("where,action\na/1.png,relabel\n", "line 2.*new_label"),
        ("path,action\na/1.png,drop\n", "lacks where"),
        ("", "lacks action, where"),
    ],
)
def test_what_cannot_be_followed_is_refused(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        applied(text)


def test_values_in_memory_are_named_by_row() -> None:
    image = Column("image", np.zeros((2, 4, 4), np.uint8), "array")
    data = Table({"image": image}, "memory", "1")
    view = fixes.apply(fixes.Fixes("f.csv", b"where,action\nimage[1],drop\n"), data, image, None)
    assert view.kept.tolist() == [True, False] and view.labels is None
    with pytest.raises(DataError, match="no labels"):
        fixes.apply(fixes.Fixes("f.csv", b"where,action,new_label\nimage[1],relabel,b\n"), data, image, None)


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        fixes.read(tmp_path / "none.csv")


def test_rows_of_text_are_named_by_file_and_line_or_by_number(tmp_path: Path) -> None:
    for language, lines in (("en", "a dog\na cat\n"), ("de", "ein Hund\nein Kater\n")):
        (tmp_path / f"t.{language}").write_text(lines)
    data = source.read(tmp_path / "t.en")
    inputs, target = data.columns["en"], data.columns["de"]
    lines = fixes.described([Fix(1, "relabel", "wrong", "eine Katze"), Fix(0, "drop", "")], data, inputs, target.values)
    assert [line["where"] for line in lines] == ["t.en:2", "t.en:1"] and lines[0]["label"] == "ein Kater"
    fixes.write(tmp_path / "f.csv", lines)
    view = fixes.apply(fixes.read(tmp_path / "f.csv"), data, inputs, target)
    assert view.kept.tolist() == [False, True] and view.labels.values == ["ein Hund", "eine Katze"]
    (tmp_path / "t.csv").write_text('text,label\n"one, two",a\nthree,b\n')
    data = source.read(tmp_path / "t.csv")
    view = fixes.apply(fixes.Fixes("f", b"where,action\ntext[1],drop\n"), data, *data.columns.values())
    assert view.kept.tolist() == [True, False] and view.labels is data.columns["label"]
