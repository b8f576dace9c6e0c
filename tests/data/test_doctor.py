"""What the doctor says of data that is wrong in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data import doctor
from engram.data.doctor import copies
from engram.data.examples import Examples
from engram.data.split import assign
from engram.data.store import prepare
from engram.data.table import Column, Table
from engram.features.categories import Categories
from engram.features.category import Category
from engram.features.image import Image

GENERATOR = np.random.default_rng(0)


def findings(pictures: list, labels: list, cache: Path, *, given: Any = None) -> dict[str, Finding]:
    several = any(isinstance(label, list) for label in labels)
    roles = {
        "image": Column("picture", pictures, "array"),
        "label": Column("kind", labels, "names" if several else "text"),
    }
    features = {"image": Image(channels=1), "label": Categories() if several else Category()}
    stored = {role: prepare(column, features[role], cache=cache) for role, column in roles.items()}
    usable = stored["image"].ok & stored["label"].ok
    splits = assign(labels=labels, digests=stored["image"].digest, given=given, usable=usable)
    table = Table({column.name: column for column in roles.values()}, "here", "1")
    alike = {"image": copies.find(features["image"], stored["image"])}
    examples = Examples(features, stored, splits.rows)
    found = doctor.inspect(examples=examples, table=table, roles=roles, copies=alike)
    assert len({f.kind for f in found}) == len(found)
    return {finding.kind: finding for finding in found}


def pictures(number: int) -> list:
    return list(GENERATOR.integers(0, 256, (number, 8, 6), dtype=np.uint8))


def test_sound_data(tmp_path: Path) -> None:
    found = findings(pictures(40), ["cat", "dog"] * 20, tmp_path)
    assert set(found) == {"sizes", "class_counts"} and {f.severity for f in found.values()} == {"info"}
    assert "6 x 8" in found["sizes"].message and found["class_counts"].where == ("cat: 20", "dog: 20")
    doctor.stop_if_unusable(list(found.values()))


def test_unreadable_below_and_above_the_limit(tmp_path: Path) -> None:
    few = findings([*pictures(39), b"broken"], ["cat", "dog"] * 20, tmp_path)["unreadable"]
    assert few.severity == "warning" and few.where[0].startswith("picture[39]: ") and "set aside" in few.message
    doctor.stop_if_unusable([few])
    many = findings([*pictures(35), *[b""] * 5], ["cat", "dog"] * 20, tmp_path)["unreadable"]
    assert many.severity == "error"
    with pytest.raises(DataError, match=r"(?s)5 of 40 .* at most 5%.*picture\[35\]: the file is empty"):
        doctor.stop_if_unusable([many])


def test_duplicates_and_conflicts(tmp_path: Path) -> None:
    values = pictures(40)
    values[10], values[21] = values[0], values[1]
    found = findings(values, ["cat", "dog"] * 20, tmp_path)
    assert found["duplicates"].message.startswith("2 exact copies") and found["duplicates"].severity == "info"
    assert "label_conflict" not in found
    values[11] = values[0]
    conflict = findings(values, ["cat", "dog"] * 20, tmp_path)["label_conflict"]
    assert conflict.where == ("picture[0] (cat) = picture[10] (cat) = picture[11] (dog)",)


def test_one_class_is_an_error(tmp_path: Path) -> None:
    found = findings(pictures(20), ["cat"] * 20, tmp_path)["one_class"]
    assert found.severity == "error" and "cat" in found.message
    with pytest.raises(DataError, match="two classes or more"):
        doctor.stop_if_unusable([found])


def test_odd_classes(tmp_path: Path) -> None:
    labels = ["cat"] * 60 + ["dog"] * 30 + ["Dog"] * 2 + ["cow"]
    found = findings(pictures(93), labels, tmp_path)
    assert found["single_example"].where == ("cow",)
    assert "'cat' has 60" in found["unbalanced"].message and "'cow' has 1" in found["unbalanced"].message
    assert found["similar_labels"].where == ("'Dog' (2) = 'dog' (30)",)


def test_classes_that_training_lacks(tmp_path: Path) -> None:
    given = np.array(["train"] * 30 + ["test"] * 10)
    found = findings(pictures(40), ["cat", "dog"] * 15 + ["emu"] * 10, tmp_path, given=given)["unseen_class"]
    assert found.where == ("emu",) and found.severity == "warning" and "test" in found.message


def test_several_labels(tmp_path: Path) -> None:
    found = findings(pictures(40), [["sea"], ["sea", "sky"]] * 20, tmp_path)
    assert found["class_counts"].where == ("sea: 40", "sky: 20") and "one_class" not in found


def test_many_sizes(tmp_path: Path) -> None:
    values = [*pictures(20), *GENERATOR.integers(0, 256, (20, 30, 12), dtype=np.uint8)]
    assert "from 6 x 8 to 12 x 30" in findings(values, ["a", "b"] * 20, tmp_path)["sizes"].message


def test_labels_that_a_run_has_not_learned_are_named(tmp_path: Path) -> None:
    feature = Category()
    feature.load_state({"names": ["cat", "dog"]}, {})
    stored = prepare(Column("kind", ["cat", "fox", "fox"], "text"), feature, cache=tmp_path)
    examples = Examples({"label": feature}, {"label": stored}, {"test": np.arange(3)})
    (found,) = doctor.unknown_labels(examples, "label")
    assert found.message.startswith("1 labels (2 times)") and found.where == ("fox",)
    examples.splits["test"] = np.arange(1)
    assert not list(doctor.unknown_labels(examples, "label"))


def test_names_that_are_no_text_can_be_shown() -> None:
    where = Column("image", ["a\udcff.png"], "path").where(0)
    assert where == "a\\udcff.png" and where.encode()
