"""The prepared store: what is gathered is what was read, and nothing half-written is used."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from engram.core.errors import DataError
from engram.core.events import listening
from engram.data import read_values, store
from engram.data.store import collate, prepare
from engram.data.table import Column
from engram.features.category import Category
from engram.features.image import Image

GENERATOR = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(200):
        pixels = GENERATOR.integers(0, 256, (8, 6 + number % 2 * 3, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(tmp_path / "pictures" / f"{number:03}.png")
    return tmp_path / "pictures"


def key(column: Column, feature: Image) -> str:
    return store.store_names(column, feature)[0]


def paths(folder: Path) -> Column:
    return Column("image", sorted(folder.iterdir()), "path")


def test_gathering_equals_collating_single_values(folder: Path, tmp_path: Path) -> None:
    column, feature = paths(folder), Image()
    stored = prepare(column, feature, cache=tmp_path / "cache")
    assert len(stored) == 200 and stored.ok.all() and not stored.problems
    for rows in ([0, 2, 198], [5, 0, 7, 7], [3]):
        gathered, singles = stored.gather(rows), collate([feature.store(column.values[row]) for row in rows])
        assert gathered.keys() == singles.keys() and isinstance(gathered["pixels"], type(singles["pixels"]))
        for name in gathered:
            assert all(np.array_equal(a, b) for a, b in zip(gathered[name], singles[name], strict=True))


def test_equal_shapes_are_one_array(folder: Path, tmp_path: Path) -> None:
    column = Column("image", sorted(folder.iterdir())[::2], "path")
    stored = prepare(column, Image(channels=1), cache=tmp_path / "cache")
    assert stored.arrays["pixels"].shape == (100, 8, 6, 1) and stored.arrays["size"].shape == (100, 2)
    assert stored.gather([4, 4])["pixels"].shape == (2, 8, 6, 1)


def test_threads_and_one_thread_write_the_same(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = prepare(paths(folder), Image(), cache=tmp_path / "one")
    monkeypatch.setattr(read_values, "QUICK_SECONDS", 0.0)
    many = prepare(paths(folder), Image(), cache=tmp_path / "many")
    assert np.array_equal(one.digest, many.digest)
    assert np.array_equal(one.arrays["pixels"].flat, many.arrays["pixels"].flat)


def test_second_time_reads_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(paths(folder), Image(), cache=tmp_path / "cache")
    monkeypatch.setattr(Image, "store", None)
    again = prepare(paths(folder), Image(size=(9, 9)), cache=tmp_path / "cache")
    assert np.array_equal(first.digest, again.digest)


def test_changed_files_and_settings_are_prepared_again(folder: Path, tmp_path: Path) -> None:
    column = paths(folder)
    keys = {key(column, Image()), key(column, Image(channels=1))}
    keys.add(key(column, Image(store_size=4)))
    Pillow.new("RGB", (3, 3)).save(column.values[0])
    os.utime(column.values[0], ns=(1, 1))
    keys.add(key(column, Image()))
    keys.add(key(Column("image", column.values[1:], "path"), Image()))
    assert len(keys) == 5


def test_a_source_fingerprint_does_not_mix_two_folders(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    columns = [Column("image", sorted(place.iterdir()), "path", fingerprint="same") for place in (folder, other)]
    assert len({key(column, Image()) for column in columns}) == 2


def test_digests_are_equal_where_pixels_are(tmp_path: Path) -> None:
    pixels = GENERATOR.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    values = [pixels[0], pixels[1], Pillow.fromarray(pixels[0]), pixels[0].reshape(4, 16), pixels[1]]
    digest = prepare(Column("image", values, "array"), Image(channels=1), cache=tmp_path).digest
    assert digest.shape == (5, 16) and digest.dtype == np.uint8
    assert np.array_equal(digest[0], digest[2]) and np.array_equal(digest[1], digest[4])
    assert len(np.unique(digest, axis=0)) == 3


def test_unreadable_values_become_problems(folder: Path, tmp_path: Path) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "grüße.jpg").write_text("text", encoding="utf-8")
    column = paths(folder)
    column.values.append(folder / "missing.png")
    for _ in range(2):
        stored = prepare(column, Image(), cache=tmp_path / "cache")
        assert [Path(p.where).name for p in stored.problems] == ["empty.png", "grüße.jpg", "missing.png"]
        assert ["0 bytes" in p.reason for p in stored.problems] == [True, False, False]
        assert np.flatnonzero(~stored.ok).tolist() == [p.row for p in stored.problems] == [200, 201, 202]
        rows = [199, 0]
        singles = collate([Image().store(column.values[row]) for row in rows])
        assert np.array_equal(stored.gather(rows)["size"], singles["size"])
        with pytest.raises(AssertionError):
            stored.gather([200])


def test_nothing_readable(tmp_path: Path) -> None:
    stored = prepare(Column("image", [b"", b"x"], "bytes"), Image(), cache=tmp_path)
    assert len(stored.problems) == 2 and not stored.ok.any() and len(stored) == 2


def test_arrays_in_memory(tmp_path: Path) -> None:
    pixels = GENERATOR.integers(0, 256, (300, 9, 9), dtype=np.uint8)
    column = Column("image", pixels, "array")
    stored = prepare(column, Image(channels=1), cache=tmp_path)
    assert np.array_equal(stored.arrays["pixels"][..., 0], pixels)
    changed = pixels.copy()
    changed[200, 3, 3] ^= 1
    assert key(column, Image()) != key(Column("image", changed, "array"), Image())


def test_a_crash_leaves_nothing_that_is_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Image.store

    def stops(self: Image, value: Any) -> Any:
        if Path(value).name == "150.png":
            raise KeyboardInterrupt
        return real(self, value)

    monkeypatch.setattr(Image, "store", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare(paths(folder), Image(), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache" / "prepared").iterdir())
    monkeypatch.setattr(Image, "store", real)
    assert prepare(paths(folder), Image(), cache=tmp_path / "cache").ok.all()


def test_leftovers_of_a_crash_are_removed_when_old(folder: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "prepared" / "image-a.x.tmp", tmp_path / "prepared" / "image-b.y.tmp"
    for path in (old, young):
        path.mkdir(parents=True)
    past = time.time() - 2 * store.STALE_SECONDS
    os.utime(old, (past, past))
    prepare(paths(folder), Image(), cache=tmp_path)
    assert not old.exists() and young.exists()


def test_two_at_once(folder: Path, tmp_path: Path) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(prepare(paths(folder), Image(), cache=tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(s.digest, found[0].digest) for s in found)
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1


def test_a_full_disk_is_said_before(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(DataError, match=r"free are 10 B .*ENGRAM_CACHE"):
        prepare(paths(folder), Image(), cache=tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


def test_progress_is_told(folder: Path, tmp_path: Path) -> None:
    heard: list[dict] = []
    with listening(heard.append):
        prepare(paths(folder), Image(), cache=tmp_path)
    assert heard[-1] == {"event": "progress", "name": "preparing", "done": 200, "total": 200}


def test_small_values_stay_in_memory(tmp_path: Path) -> None:
    stored = prepare(Column("label", ["a", None, 3, 3.0, ""], "text"), Category(), cache=tmp_path)
    assert stored.ok.tolist() == [True, False, True, True, False]
    assert [p.where for p in stored.problems] == ["label[1]", "label[4]"]
    assert stored.gather([0, 3, 2]) == {"name": ["a", "3", "3"]}
    assert np.array_equal(stored.digest[2], stored.digest[3]) and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written to .*ENGRAM_CACHE"):
        prepare(paths(folder), Image(), cache=tmp_path / "file")


class Lazy:
    """A sequence without slices, as of a data set that reads when asked."""

    def __len__(self) -> int:
        return 150

    def __getitem__(self, row: int) -> np.ndarray:
        if not 0 <= row < 150:
            raise IndexError(row)
        return np.full((4, 4), row, np.uint8)


def test_lazy_values(tmp_path: Path) -> None:
    stored = prepare(Column("image", Lazy(), "array"), Image(channels=1), cache=tmp_path)
    assert stored.arrays["pixels"][:, 0, 0, 0].tolist() == list(range(150))


def test_a_store_of_grey_pictures_serves_the_fitted_feature(tmp_path: Path) -> None:
    column = Column("image", [np.full((4, 4), n, np.uint8) for n in range(9)], "array")
    surveyed = Image.survey(column)
    stored = prepare(column, surveyed, cache=tmp_path)
    surveyed.fit(stored, np.arange(9))
    prepare(column, surveyed, cache=tmp_path)
    prepare(column, Image(channels=1), cache=tmp_path)
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_colours_made_grey_do_not_serve_a_survey(tmp_path: Path) -> None:
    values = [np.full((4, 4), n % 256, np.uint8) for n in range(1000)]
    values[1] = GENERATOR.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    column = Column("image", values, "array")
    assert prepare(column, Image(channels=1), cache=tmp_path).arrays["pixels"].shape[3] == 1
    surveyed = Image.survey(column)
    assert surveyed.channels == 1
    assert prepare(column, surveyed, cache=tmp_path).arrays["pixels"].shape[3] == 3


def test_a_fitted_grey_feature_meets_colour_and_stays_fitted(tmp_path: Path) -> None:
    column = Column("image", [np.full((4, 4), n, np.uint8) for n in range(9)], "array")
    feature = Image.survey(column)
    feature.fit(prepare(column, feature, cache=tmp_path), np.arange(9))
    colour = Column("image", [GENERATOR.integers(0, 256, (4, 4, 3), dtype=np.uint8)], "array")
    stored = prepare(colour, feature, cache=tmp_path)
    assert feature.encode(stored.gather([0])).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("name", ["pixels.bin", "digest.npy", "pixels.shapes.npy", "info.json"])
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_stores_are_prepared_again(folder: Path, tmp_path: Path, name: str, cut: bool) -> None:
    first = prepare(paths(folder), Image(), cache=tmp_path / "cache")
    (path,) = (tmp_path / "cache").rglob(name)
    content = path.read_bytes()
    path.unlink()
    if cut:
        path.write_bytes(content[: len(content) // 2])
    again = prepare(paths(folder), Image(), cache=tmp_path / "cache")
    assert np.array_equal(first.digest, again.digest) and again.ok.all()
    assert np.array_equal(again.gather([3])["pixels"][0], Image().store(paths(folder).values[3])["pixels"])
