"""What the doctor says of data that is wrong in one way."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from engram.core.errors import DataError
from engram.core.evidence import Finding, Fix
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


def findings(
    pictures: list, labels: list, cache: Path, *, given: Any = None, kind: str = "array"
) -> dict[str, Finding]:
    several = any(isinstance(label, list) for label in labels)
    roles = {
        "image": Column("picture", pictures, kind),
        "label": Column("kind", labels, "names" if several else "text"),
    }
    features = {"image": Image(channels=1), "label": Categories() if several else Category()}
    stored = {role: prepare(column, features[role], cache=cache) for role, column in roles.items()}
    usable = stored["image"].ok & stored["label"].ok
    splits = assign(labels=labels, digests=stored["image"].digest, given=given, usable=usable)
    table = Table({column.name: column for column in roles.values()}, "here", "1", split=given)
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


def test_near_copies_and_their_labels(tmp_path: Path) -> None:
    values = [np.kron(picture, np.ones((4, 4), np.uint8)) for picture in pictures(40)]
    values[11] = values[0][:, ::-1]
    found = findings(values, ["cat", "dog"] * 20, tmp_path)
    assert found["near_duplicates"].where == ("picture[0] = picture[11]",)
    assert found["near_duplicates"].fixes == (Fix(11, "drop", "nearly the same as picture[0]"),)
    conflict = found["near_label_conflict"]
    assert conflict.severity == "warning" and [fix.action for fix in conflict.fixes] == ["drop", "drop"]


def test_most_copies_decide_for_a_label(tmp_path: Path) -> None:
    values = pictures(40)
    values[10] = values[12] = values[11] = values[0]
    conflict = findings(values, ["cat", "dog"] * 20, tmp_path)["label_conflict"]
    assert [(fix.row, fix.action, fix.label, fix.score) for fix in conflict.fixes] == [(11, "relabel", "cat", 0.75)]


def test_a_given_test_set_is_left_as_it_is(tmp_path: Path) -> None:
    values = pictures(40)
    values[38] = values[36]
    given = np.array(["train"] * 30 + ["test"] * 10)
    found = findings(values, ["cat", "dog"] * 20, tmp_path, given=given)["duplicates"]
    assert [(fix.row, fix.action) for fix in found.fixes] == [(38, "keep")]


def test_pictures_that_stand_out(tmp_path: Path) -> None:
    values = [np.clip(p.astype(int) // 2 + 40 + GENERATOR.integers(20), 0, 255).astype(np.uint8) for p in pictures(300)]
    values[7] = np.full((8, 6), 120, np.uint8)
    values[9] = np.tile(np.linspace(60, 160, 6).astype(np.uint8), (8, 1))
    values[13] = 255 - values[13] // 20
    found = findings(values, ["cat", "dog"] * 150, tmp_path)
    assert [found[kind].where for kind in ("blank", "blurred", "extreme")] == [
        ("picture[7]",), ("picture[9]",), ("picture[13]",)
    ]  # fmt: skip
    assert found["blank"].fixes[0].action == "drop" and found["blurred"].fixes[0].action == "keep"


def test_in_dark_data_dark_pictures_do_not_stand_out(tmp_path: Path) -> None:
    values = [picture // 12 + (100 if row % 3 == 0 else 0) for row, picture in enumerate(pictures(90))]
    assert not {"blank", "blurred", "extreme"} & set(findings(values, ["cat", "dog"] * 45, tmp_path))


def encoded(picture: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("fact", ["format", "compression", "size", "frame", "camera"])
def test_a_source_that_betrays_the_label(tmp_path: Path, fact: str) -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "Acme"
    values = []
    for row, picture in enumerate(GENERATOR.integers(0, 256, (90, 16, 16), dtype=np.uint8)):
        odd, options = row % 3 == 0, {"quality": 90}
        if fact == "size" and odd:
            picture = picture[:12]
        if fact == "frame" and odd:
            picture = np.pad(picture[:12, :12], 2)
        if fact == "compression" and odd:
            options["quality"] = 40
        if fact == "camera" and odd:
            options["exif"] = exif
        values.append(encoded(picture, "PNG" if fact == "frame" or (fact == "format" and odd) else "JPEG", **options))
    found = findings(values, ["cat", "dog", "emu"] * 30, tmp_path, kind="bytes")
    betrayal = found[f"shortcut_{fact}"]
    assert betrayal.severity == "warning" and betrayal.where[0].startswith("cat: ")
    assert {kind for kind in found if kind.startswith("shortcut")} <= {
        f"shortcut_{fact}",
        "shortcut_size",
        "shortcut_compression",
    }


def test_facts_that_have_nothing_to_do_with_labels_betray_nothing(tmp_path: Path) -> None:
    labels = GENERATOR.choice(["cat", "dog", "emu"], 90).tolist()
    values = [
        encoded(p, ("PNG", "JPEG")[GENERATOR.integers(2)])
        for p in GENERATOR.integers(0, 256, (90, 9, 9), dtype=np.uint8)
    ]
    assert not [kind for kind in findings(values, labels, tmp_path, kind="bytes") if kind.startswith("shortcut")]


def test_classes_too_small_to_learn(tmp_path: Path) -> None:
    found = findings(pictures(44), ["cat"] * 40 + ["emu"] * 4, tmp_path)["few_examples"]
    assert found.where == ("emu: 4",) and "fewer than 5" in found.message


def test_one_class_is_an_error(tmp_path: Path) -> None:
    found = findings(pictures(20), ["cat"] * 20, tmp_path)["one_class"]
    assert found.severity == "error" and "cat" in found.message
    with pytest.raises(DataError, match="two classes or more"):
        doctor.stop_if_unusable([found])


def test_odd_classes(tmp_path: Path) -> None:
    labels = ["cat"] * 60 + ["dog"] * 30 + ["Dog"] * 2 + ["cow", "NA", "NA"]
    found = findings(pictures(95), labels, tmp_path)
    assert found["single_example"].where == ("cow",)
    assert "'cat' has 60" in found["unbalanced"].message and "'cow' has 1" in found["unbalanced"].message
    assert found["similar_labels"].where == ("'Dog' (2) = 'dog' (30)",)
    assert found["missing_class"].where == ("'NA': 2",)


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
    assert found.message.startswith("1 label (2 times) is none") and found.where == ("fox",)
    examples.splits["test"] = np.arange(1)
    assert not list(doctor.unknown_labels(examples, "label"))


def test_names_that_are_no_text_can_be_shown() -> None:
    where = Column("image", ["a\udcff.png"], "path").where(0)
    assert where == "a\\udcff.png" and where.encode()
