"""Which pictures are copies: found however they were changed on the way, and look-alikes left alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from engram.data.doctor import copies, near
from engram.data.store import prepare
from engram.data.table import Column
from engram.demo import path as demo
from engram.features.image import Image


@pytest.fixture(scope="module")
def clothes() -> np.ndarray:
    with np.load(demo()) as arrays:
        return next(arrays[name] for name in arrays.files if arrays[name].ndim == 3)[:1500]


def as_jpeg(picture: Pillow.Image) -> Pillow.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return Pillow.open(io.BytesIO(buffer.getvalue()))


def resized(scale: float):
    return lambda picture: picture.resize([round(side * scale) for side in picture.size], Pillow.Resampling.BICUBIC)


CHANGES = {
    "exact": (lambda picture: picture, 1.0),
    "encoded": (as_jpeg, 0.95),
    "smaller": (resized(0.6), 0.9),
    "larger": (resized(1.4), 0.95),
    "mirrored": (lambda picture: picture.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT), 1.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_copies_are_found_and_look_alikes_are_not(clothes: np.ndarray, tmp_path: Path, name: str) -> None:
    change, least = CHANGES[name]
    copied = np.arange(0, len(clothes), 15)
    values = [*clothes, *(np.asarray(change(Pillow.fromarray(clothes[row]))) for row in copied)]
    feature = Image(channels=1)
    found = copies.find(feature, prepare(Column("image", values, "array"), feature, cache=tmp_path))
    leader = found.leader[len(clothes) :]
    assert (leader == found.leader[copied]).mean() >= least
    assert found.copied[: len(clothes)].mean() <= 0.005
    assert found.exact[len(clothes) :].all() == (name == "exact")


def test_what_was_found_is_kept_beside_the_prepared_values(
    clothes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, feature = [*clothes[:50], clothes[3][:, ::-1]], Image(channels=1)
    stored = prepare(Column("image", values, "array"), feature, cache=tmp_path)
    first = copies.find(feature, stored)
    assert first.leader[50] == 3
    monkeypatch.setattr(copies, "close_pairs", None)
    assert np.array_equal(copies.find(feature, stored).leader, first.leader)


def test_blank_pictures_are_no_copies_of_each_other(tmp_path: Path) -> None:
    values = [np.full((20, 20), level, np.uint8) for level in range(100, 110)]
    feature = Image(channels=1)
    assert not copies.find(feature, prepare(Column("image", values, "array"), feature, cache=tmp_path)).copied.any()


def test_a_small_difference_in_a_large_picture_is_seen(tmp_path: Path) -> None:
    form = np.full((120, 160), 230, np.uint8)
    form[::12] = 40
    numbered = form.copy()
    numbered[50:62, 60:72] = 0
    feature = Image(channels=1)
    stored = prepare(Column("image", [form, numbered, form // 2 * 2], "array"), feature, cache=tmp_path)
    assert copies.find(feature, stored).leader.tolist() == [0, 1, 0]


def test_pairs_take_no_longer_than_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However alike all are, each entry is compared with a few others: no pair of every two."""
    random = np.random.default_rng(0)
    alike = np.ones((3000, 1, 20), np.float32) + random.normal(0, 1e-4, (3000, 1, 20)).astype(np.float32)
    found = near.close_pairs(alike / np.linalg.norm(alike, axis=2, keepdims=True))
    assert 3000 <= len(found) <= 3000 * near.TABLES * near.WINDOW
    assert (found[:, 0] < found[:, 1]).all()


def test_among_some_rows_another_leads() -> None:
    found = copies.Copies(np.array([0, 0, 2, 0]), np.array([False, True, False, True]))
    some = found.of(np.array([1, 2, 3]))
    assert some.leader.tolist() == [0, 1, 2, 1] and some.exact.tolist() == [False, False, False, True]
    assert [group.tolist() for group in found.groups()] == [[0, 1, 3]]
