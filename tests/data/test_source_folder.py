"""Folders of pictures: which folders are splits and labels, and what is said about everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from engram.core.errors import ConfigError, DataError
from engram.data.source import read


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path)
    return path


def labels(table) -> dict[str, str]:
    """Return file name -> label."""
    return {
        Path(p).name: label
        for p, label in zip(table.columns["image"].values, table.columns["label"].values, strict=True)
    }


def kinds(table) -> set[str]:
    return {finding.kind for finding in table.findings}


def test_class_folders_are_labels_and_folders_below_belong_to_them(tmp_path):
    for name in ("cat/1.png", "cat/deep/er/2.JPG", "dog/3.png"):
        picture(tmp_path / name)
    table = read(tmp_path)
    assert labels(table) == {"1.png": "cat", "2.JPG": "cat", "3.png": "dog"}
    assert table.split is None
    assert "2 class folders" in table.notes[0] and "below a class folder" in table.notes[0]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "test"), {"train", "test"}),
        (("Training", "VALIDATION", "Testing"), {"train", "val", "test"}),
        (("TRAIN", "dev"), {"train", "val"}),
    ],
)
def test_split_folders_in_any_case(tmp_path, names, splits):
    for name in names:
        picture(tmp_path / name / "a" / "1.png")
        picture(tmp_path / name / "b" / "2.png")
    picture(tmp_path / "leftover" / "3.png")
    table = read(tmp_path)
    assert len(table) == 2 * len(names)
    assert set(table.split) == splits
    assert set(table.columns["label"].values) == {"a", "b"}
    assert "outside_splits" in kinds(table)


def test_splits_below_class_folders_and_a_folder_around_everything(tmp_path):
    for name in ("cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png"):
        picture(tmp_path / "archive" / "photos" / name)
    table = read(tmp_path)
    assert labels(table) == {"1.png": "cat", "2.png": "cat", "3.png": "dog", "4.png": "dog"}
    assert sorted(table.split) == ["test", "test", "train", "train"]


def test_a_class_called_train_beside_other_classes_is_no_split(tmp_path):
    for name in ("train/1.png", "plane/2.png", "ship/3.png"):
        picture(tmp_path / name)
    table = read(tmp_path)
    assert set(table.columns["label"].values) == {"train", "plane", "ship"} and table.split is None


def test_only_a_training_folder_leaves_the_split_open(tmp_path):
    for name in ("train/a/1.png", "train/b/2.png"):
        picture(tmp_path / name)
    table = read(tmp_path)
    assert table.split is None and set(table.columns["label"].values) == {"a", "b"}


def test_pictures_without_classes(tmp_path):
    picture(tmp_path / "1.png"), picture(tmp_path / "2.png")
    table = read(tmp_path)
    assert list(table.columns) == ["image"] and len(table) == 2
    picture(tmp_path / "more/train/images/1.png"), picture(tmp_path / "more/test/images/2.png")
    table = read(tmp_path / "more")
    assert list(table.columns) == ["image"] and sorted(table.split) == ["test", "train"]


def test_pictures_outside_class_folders_are_left_out_with_a_warning_or_kept_for_prediction(tmp_path):
    for name in ("stray.png", "a/1.png", "b/2.png"):
        picture(tmp_path / name)
    table = read(tmp_path)
    assert len(table) == 2
    finding = next(f for f in table.findings if f.kind == "missing_label")
    assert finding.severity == "warning" and finding.where[0].endswith("stray.png")
    assert len(read(tmp_path, target=())) == 3


def test_junk_is_silent_other_files_are_named_broken_pictures_are_rows(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        picture(tmp_path / name)
    for junk in (".DS_Store", "a/Thumbs.db", "a/._1.png", "__MACOSX/a/1.png", ".git/x.png"):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).touch()
    (tmp_path / "a/empty.jpg").touch()
    (tmp_path / "b/text.jpg").write_text("no picture")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a/phone.HEIC").touch()
    (tmp_path / "c").mkdir()
    table = read(tmp_path)
    assert sorted(labels(table)) == ["1.png", "2.png", "empty.jpg", "text.jpg"]
    assert {f.kind: f.where for f in table.findings} == {
        "other_files": ("notes.txt",),
        "unread_format": ("a/phone.HEIC",),
        "empty_class": ("c",),
    }


def test_links_in_circles_end_and_linked_folders_are_read(tmp_path):
    picture(tmp_path / "data/a/1.png"), picture(tmp_path / "data/b/2.png"), picture(tmp_path / "else/3.png")
    (tmp_path / "data/a/up").symlink_to(tmp_path / "data")
    (tmp_path / "data/b/cross").symlink_to(tmp_path / "data/a")
    (tmp_path / "data/c").symlink_to(tmp_path / "else")
    (tmp_path / "data/a/gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "data/a/pipe.png")
    table = read(tmp_path / "data")
    assert labels(table)["3.png"] == "c"
    assert {"link_loop", "broken_link"} <= kinds(table)
    assert not any("pipe" in path for path in table.columns["image"].values)


def test_names_with_newlines_accents_and_bytes_that_are_no_text(tmp_path):
    picture(tmp_path / "été" / "new\nline.png"), picture(tmp_path / "b" / "日本.png")
    raw = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(raw)).mkdir()
    picture(tmp_path / "x.png").rename(os.fsdecode(raw + b"/3.png"))
    table = read(tmp_path)
    assert {"été", "b"} < set(table.columns["label"].values)
    assert all(label.encode() for label in table.columns["label"].values)
    assert all(Path(path).exists() for path in table.columns["image"].values)


def test_fingerprint_follows_the_data_and_nothing_else(tmp_path):
    picture(tmp_path / "a/1.png"), picture(tmp_path / "b/2.png")
    first = read(tmp_path)
    again = read(str(tmp_path))
    assert first.fingerprint == again.fingerprint
    assert first.columns["image"].fingerprint == again.columns["image"].fingerprint
    os.utime(tmp_path / "a/1.png", (1, 1))
    changed = read(tmp_path)
    assert changed.columns["image"].fingerprint != first.columns["image"].fingerprint
    assert changed.columns["label"].fingerprint == first.columns["label"].fingerprint


def test_groups_by_pattern_over_file_names(tmp_path):
    for name in ("a/p1_x.png", "a/p2_y.png", "b/p1_z.png"):
        picture(tmp_path / name)
    table = read(tmp_path, group=r"^p(\d)_")
    assert table.group.tolist() == ["1", "2", "1"]
    assert read(tmp_path, group=r"^p\d").group.tolist() == ["p1", "p2", "p1"]
    with pytest.raises(ConfigError, match=r"1 of 3 do not, such as .*p2_y"):
        read(tmp_path, group="^p1")
    with pytest.raises(ConfigError, match="regular expression"):
        read(tmp_path, group="p(")


def test_files_lists_and_patterns_for_prediction(tmp_path):
    one, two = picture(tmp_path / "1.png"), picture(tmp_path / "2.png")
    picture(tmp_path / "no-extension.png").rename(tmp_path / "plain")
    assert read(one).columns["image"].values == [str(one)]
    assert read([two, one]).columns["image"].values == [str(two), str(one)]
    assert len(read(f"{tmp_path}/*.png")) == 2
    assert len(read(tmp_path / "plain")) == 1
    assert read([two, one]).fingerprint != read([one, two]).fingerprint


def test_mistakes_are_named(tmp_path):
    picture(tmp_path / "photos/a/1.png")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "some.bin").write_bytes(bytes(range(16)) * 40)
    (tmp_path / "some.zip").write_bytes(b"PK")
    for wrong, message in {
        tmp_path / "photo": "Did you mean .*photos",
        tmp_path / "x/y/z": "nor the folder around it",
        tmp_path / "nothing": "it is empty",
        tmp_path / "some.bin": "control characters",
        tmp_path / "some.zip": "Unpack",
        "": "empty path",
        f"{tmp_path}/*.gif": "nothing matches",
        "https://example.org/x.jpg": "Download it first",
    }.items():
        with pytest.raises(DataError, match=message):
            read(wrong)
    with pytest.raises(DataError, match="there is no file"):
        read([tmp_path / "gone.png"])
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        read(tmp_path / "photos", target="labl")
