"""Pictures of every kind that people have, and views that move them exactly."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from engram.core.errors import ConfigError, DataError, RunError
from engram.data.store import Stored, collate, prepare
from engram.data.table import Column
from engram.features import _pixels, _sizes
from engram.features.feature import Misconfigured
from engram.features.image import Image

GENERATOR = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return GENERATOR.integers(0, 256, shape, dtype=np.uint8)


def encoded(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def fitted(values: list, **wishes: object) -> tuple[Image, dict]:
    feature = Image.survey(Column("image", values, "array"), **wishes)
    gathered = collate([feature.store(value) for value in values])
    count = len(values)
    feature.fit(Stored(gathered, np.ones(count, bool), np.zeros((count, 16), np.uint8)), np.arange(count))
    return feature, gathered


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_lossless_kinds_keep_every_pixel(kind: str) -> None:
    grey = noise(9, 14)
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = Image(channels=1).store(encoded(Pillow.fromarray(grey), kind, **options))
    assert np.array_equal(stored["pixels"], grey[:, :, None])
    assert stored["size"].tolist() == [9, 14] and stored["size"].dtype == np.int32


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_of_every_mode(mode: str) -> None:
    picture = Pillow.new("RGB", (40, 30), (200, 100, 50)).convert(mode)
    pixels = Image().store(encoded(picture, "JPEG", quality=95))["pixels"]
    expected = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (30, 40, 3) and np.abs(pixels.astype(int) - expected).max() <= 12


def test_one_bit_pictures_become_black_and_white() -> None:
    ones = np.eye(8, dtype=bool)
    assert np.array_equal(Image(channels=1).store(Pillow.fromarray(ones))["pixels"][:, :, 0], ones * 255)
    assert np.array_equal(Image(channels=1).store(ones)["pixels"][:, :, 0], ones * 255)


def test_transparency_is_laid_on_white() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (Image().store(clear)["pixels"] == 255).all()
    palette = Pillow.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 2), 1)
    pixels = Image().store(encoded(palette, "PNG", transparency=0))["pixels"]
    assert pixels[0, 0].tolist() == [255, 255, 255] and pixels[2, 1].tolist() == [0, 255, 0]
    assert (Image(channels=1).store(Pillow.new("LA", (4, 4), (0, 0)))["pixels"] == 255).all()


@pytest.mark.parametrize(("top", "scale"), [(255, 255), (4095, 4095), (65535, 65535)])
def test_16_bits_by_the_stated_rule(top: int, scale: int) -> None:
    deep = np.array([[0, top // 2], [top // 3, top]], np.uint16)
    expected = np.rint(deep / scale * 255)
    for value in (deep, encoded(Pillow.fromarray(deep), "PNG"), encoded(Pillow.fromarray(deep), "TIFF")):
        assert np.abs(Image(channels=1).store(value)["pixels"][:, :, 0] - expected).max() <= 1


def test_floats_of_every_range() -> None:
    ramp = np.linspace(0, 1, 12).reshape(3, 4)
    expected = np.rint(ramp * 255).astype(np.uint8)
    for value in (ramp, ramp * 255, ramp * 2 - 1, ramp.astype(np.float32), torch.from_numpy(ramp)):
        assert np.abs(Image(channels=1).store(value)["pixels"][:, :, 0].astype(int) - expected).max() <= 1
    with pytest.raises(DataError, match="NaN"):
        Image().store(np.full((3, 3), np.nan))


def test_array_layouts() -> None:
    pixels = noise(5, 7, 3)
    assert np.array_equal(Image().store(pixels)["pixels"], pixels)
    assert np.array_equal(Image().store(pixels.transpose(2, 0, 1))["pixels"], pixels)
    assert np.array_equal(Image().store(torch.from_numpy(pixels).permute(2, 0, 1))["pixels"], pixels)
    assert np.array_equal(Image(channels=1).store(pixels[:, :, :1])["pixels"], pixels[:, :, :1])
    ambiguous = noise(3, 8, 3)
    assert Image().store(ambiguous)["pixels"].shape == (3, 8, 3)
    assert Image().store(torch.from_numpy(ambiguous))["pixels"].shape == (8, 3, 3)
    for shape in ((5,), (2, 5, 7), (0, 4), (2, 3, 4, 3)):
        with pytest.raises(DataError, match="shape"):
            Image().store(np.zeros(shape))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("store_size", [None, 16])
def test_exif_orientation_is_applied(orientation: int, store_size: int | None) -> None:
    upright = Pillow.fromarray(np.kron(noise(3, 5), np.ones((16, 16), np.uint8)))
    undo = {1: [], 2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]
    turned = upright
    for transpose in undo:
        turned = turned.transpose(transpose)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        stored = Image(channels=1, store_size=store_size).store(encoded(turned, kind, exif=exif, quality=95))
        assert stored["size"].tolist() == [48, 80]
        small = upright if store_size is None else upright.resize((27, 16), Pillow.Resampling.LANCZOS)
        assert stored["pixels"].shape[:2] == small.size[::-1]
        assert np.abs(stored["pixels"][:, :, 0].astype(int) - np.asarray(small)).mean() < 12


def test_large_jpegs_are_scaled_to_the_short_side() -> None:
    ramp = np.tile(np.linspace(0, 255, 900).astype(np.uint8), (600, 1))
    stored = Image(channels=1, store_size=100).store(encoded(Pillow.fromarray(ramp), "JPEG"))
    assert stored["pixels"].shape == (100, 150, 1) and stored["size"].tolist() == [600, 900]
    assert np.abs(stored["pixels"][50, :, 0] - np.linspace(0, 255, 150)).max() < 6


def test_long_pictures_are_cut_at_both_ends() -> None:
    stored = Image(channels=1, store_size=32).store(np.tile(np.arange(250, dtype=np.uint8), (10, 4)))
    assert stored["pixels"].shape == (10, 30, 1) and stored["size"].tolist() == [10, 1000]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "0 bytes"),
        ("text.jpg", b"this is not a picture\n", "text"),
        ("paper.png", b"%PDF-1.7 ...", "PDF"),
        ("cut.png", encoded(Pillow.fromarray(noise(50, 50, 3)), "PNG")[:900], "damaged|cut short"),
        ("cut.jpg", encoded(Pillow.fromarray(noise(50, 50, 3)), "JPEG")[:900], "damaged|cut short"),
        ("cut.gif", encoded(Pillow.fromarray(noise(50, 50)), "GIF")[:900], "damaged|cut short|decoded"),
        ("cut.tif", encoded(Pillow.fromarray(noise(50, 50)), "TIFF")[:900], "damaged|cut short|decoded"),
        ("header.png", b"\x89PNG\r\n\x1a\n\x00\x00", "damaged|no kind"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for value in (path, str(path), content):
        with pytest.raises(DataError, match=reason):
            Image().store(value)


def test_missing_files_and_folders_and_other_things(tmp_path: Path) -> None:
    for value, reason in (
        (tmp_path, "folder"),
        (tmp_path / "no.png", "no such file"),
        (None, "expected a picture"),
        ({}, "expected a picture"),
    ):
        with pytest.raises(DataError, match=reason):
            Image().store(value)


def test_decompression_bombs_are_refused() -> None:
    bomb = encoded(Pillow.new("1", (20000, 10000)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(DataError, match="too large"):
        Image().store(bomb)


def test_unicode_names(tmp_path: Path) -> None:
    path = tmp_path / "grüße 猫 🐈.png"
    Pillow.fromarray(noise(4, 4)).save(path)
    assert Image(channels=1).store(path)["pixels"].shape == (4, 4, 1)


def test_first_frame_of_an_animation() -> None:
    first, second = noise(6, 6), noise(6, 6)
    content = encoded(Pillow.fromarray(first), "GIF", save_all=True, append_images=[Pillow.fromarray(second)])
    assert np.array_equal(Image(channels=1).store(content)["pixels"][:, :, 0], first)


def test_dicom(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
        ExplicitVRLittleEndian,
        pydicom.uid.SecondaryCaptureImageStorage,
    )
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("x", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2, 3, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.PixelData = np.array([[0, 1000, 2000], [3000, 4000, 4000]], np.uint16).tobytes()
    for name in ("scan.dcm", "scan"):
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        pixels = Image(channels=1).store(tmp_path / name)["pixels"][:, :, 0]
        assert pixels.tolist() == [[255, 191, 127], [64, 0, 0]]
    (tmp_path / "bad.dcm").write_bytes(b"nothing")
    with pytest.raises(DataError, match="DICOM"):
        Image().store(tmp_path / "bad.dcm")


def test_survey_chooses_colour_and_sizes() -> None:
    small = Image.survey(Column("image", [noise(28, 28) for _ in range(5)], "array"))
    assert (small.channels, small.store_size, small.size) == (1, None, (28, 28))
    faces = Image.survey(Column("image", [noise(112, 92) for _ in range(5)], "array"))
    assert (faces.store_size, faces.size) == (None, (78, 64))
    mixed = Image.survey(Column("image", [noise(300, 200, 3), noise(200, 400, 3)], "array"))
    assert (mixed.channels, mixed.store_size, mixed.size) == (3, 160, (128, 128))
    wished = Image.survey(Column("image", [noise(28, 28)], "array"), channels=3, size=(32, 32))
    assert (wished.channels, wished.size) == (3, (32, 32))
    with pytest.raises(DataError, match="none of 1"):
        Image.survey(Column("image", [b"no"], "bytes"))


def test_stored_sizes_fit_the_room() -> None:
    photos = np.full((10, 2), 500)
    assert _sizes.stored_short_side(photos, number=1000, channels=3) == 160
    assert _sizes.stored_short_side(photos, number=10**6, channels=3) == 32
    assert _sizes.stored_short_side(photos, number=100_000, channels=3) == 128
    assert _sizes.seen_size(np.array([[200, 1000]] * 3)) == (128, 384)
    assert _sizes.seen_size(np.array([[40, 50], [50, 40]])) == (40, 40)


def test_evidence() -> None:
    assert Image.matches(Column("image", ["a.jpg", "b.PNG"], "path"))
    assert not Image.matches(Column("text", ["a.txt", "b"], "path"))
    assert not Image.matches(Column("text", [], "path"))
    assert Image.matches(Column("x", [encoded(Pillow.new("L", (2, 2)), "PNG")], "bytes"))
    assert not Image.matches(Column("x", [b"hello"], "bytes"))
    assert not Image.matches(Column("x", [np.zeros(3)], "array"))


def test_a_colour_picture_after_a_grey_survey_starts_again(tmp_path: Path) -> None:
    values = [noise(8, 8) for _ in range(1000)]
    values[1] = noise(8, 8, 3)
    feature = Image.survey(Column("image", values, "array"))
    assert feature.channels == 1
    with pytest.raises(Misconfigured):
        feature.store(values[1])
    stored = prepare(Column("image", values, "array"), feature, cache=tmp_path)
    assert feature.channels == 3 and feature.size == (8, 8) and stored.ok.all()
    assert np.array_equal(stored.arrays["pixels"][1], values[1])


def test_grey_on_purpose_stays_grey() -> None:
    assert Image(channels=1).store(noise(8, 8, 3))["pixels"].shape == (8, 8, 1)


@pytest.mark.parametrize("shapes", [[(12, 16)] * 6, [(12, 16), (30, 20), (9, 9), (100, 40), (12, 16), (40, 90)]])
def test_identity_views_equal_the_answer_view(shapes: list[tuple[int, int]]) -> None:
    feature, gathered = fitted([noise(*shape, 3) for shape in shapes], size=(12, 16))
    identity = torch.eye(2, 3).repeat(len(shapes), 1, 1)
    plain, viewed = feature.encode(gathered), feature.encode(gathered, identity)
    assert plain.shape == (6, *feature.shape) and plain.dtype == torch.float32
    assert plain.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(plain, viewed, atol=1e-4)
    assert torch.isfinite(plain).all()


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (2, -3), (-1, 0)])
def test_whole_pixel_shifts_are_exact(dy: int, dx: int) -> None:
    feature, gathered = fitted([noise(28, 28) for _ in range(4)])
    views = torch.eye(2, 3).repeat(4, 1, 1)
    views[:, 0, 2], views[:, 1, 2] = dx * 2 / 28, dy * 2 / 28
    shifted, plain = feature.encode(gathered, views), feature.encode(gathered)
    rows, columns = (torch.arange(28) + dy).clamp(0, 27), (torch.arange(28) + dx).clamp(0, 27)
    assert torch.allclose(shifted, plain[:, :, rows][..., columns], atol=1e-3)


def test_mirroring_is_exact() -> None:
    feature, gathered = fitted([noise(20, 30, 3) for _ in range(3)])
    views = torch.tensor([[-1.0, 0, 0], [0, 1, 0]]).repeat(3, 1, 1)
    assert torch.allclose(feature.encode(gathered, views), feature.encode(gathered).flip(-1), atol=1e-3)


def test_views_reach_the_rest_of_the_picture() -> None:
    picture = np.zeros((10, 30), np.uint8)
    picture[:, 25:] = 255
    feature, gathered = fitted([picture], size=(10, 10))
    right = torch.eye(2, 3)[None].clone()
    right[:, 0, 2] = 2.0
    assert feature.decode(feature.encode(gathered, right))[0].mean() == pytest.approx(127.5, abs=1)
    assert feature.decode(feature.encode(gathered))[0].max() == 0


def test_shrinking_averages() -> None:
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    feature, gathered = fitted([checks], size=(16, 16))
    small = feature.decode(feature.encode(gathered))[0]
    assert np.abs(small.astype(int) - 127).max() <= 1


def test_what_an_example_becomes_does_not_depend_on_the_others() -> None:
    values = [noise(*shape, 3) for shape in ((12, 16), (300, 220), (9, 9), (100, 40))]
    feature, gathered = fitted(values, size=(24, 24))
    together = feature.encode(gathered)
    for row, value in enumerate(values):
        alone = feature.encode(collate([feature.store(value)]))
        assert torch.allclose(alone[0], together[row], atol=1e-5)


def test_decode_gives_the_picture_back() -> None:
    values = [noise(6, 8, 3) for _ in range(3)]
    feature, gathered = fitted(values)
    assert all(np.array_equal(a, b) for a, b in zip(feature.decode(feature.encode(gathered)), values, strict=True))


def test_normalised_by_mean_and_spread() -> None:
    feature, gathered = fitted([noise(16, 16, 3) // 2 for _ in range(20)])
    x = feature.encode(gathered)
    assert x.mean((0, 2, 3)).abs().max() < 1e-3 and (x.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_flat_pictures_do_not_divide_by_zero() -> None:
    feature, gathered = fitted([np.zeros((8, 8), np.uint8)] * 3)
    assert torch.isfinite(feature.encode(gathered)).all()


def test_no_examples() -> None:
    feature, _ = fitted([noise(8, 8)])
    assert feature.encode({"pixels": []}).shape == (0, 1, 8, 8)


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"channels": 2}, {"store_size": 0}, {"size": (0, 4)}, {"size": (8, 10**6)}):
        with pytest.raises(ConfigError):
            Image(**wrong)


@pytest.mark.parametrize(
    ("values", "arrays"),
    [
        ({}, {"mean": [0.5], "std": [0.2]}),
        ({"size": [8, -1]}, {"mean": [0.5], "std": [0.2]}),
        ({"size": [8, 8]}, {"mean": [0.5]}),
        ({"size": [8, 8]}, {"mean": [0.5, 0.1], "std": [0.2, 0.1]}),
        ({"size": [8, 8]}, {"mean": [float("nan")], "std": [0.2]}),
        ({"size": [8, 8]}, {"mean": [0.5], "std": [0.0]}),
    ],
)
def test_damaged_state_is_refused(values: dict, arrays: dict) -> None:
    with pytest.raises(RunError):
        Image(channels=1).load_state(values, {name: np.array(a, np.float32) for name, a in arrays.items()})


def test_deep_pixels_of_wide_integers_are_stretched() -> None:
    assert _pixels.to_8_bits(np.array([[-100, 0], [50, 100]])).tolist() == [[0, 127], [191, 255]]
