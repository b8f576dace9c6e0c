"""Forty pictures that something is wrong with, or odd: each is read rightly, or named with the reason, none hangs."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from engram.core.errors import DataError
from engram.data import source
from engram.data.store import prepare
from engram.data.stored import Stored
from engram.data.table import Table
from engram.features.image import Image

RANDOM = np.random.default_rng(0)
READ, UNREADABLE = "read", "unreadable"
"""What becomes of a file: it is read, or named as unreadable."""


def noise(*shape: int) -> Pillow.Image:
    return Pillow.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8))


def encoded(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG file of any claims."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bomb(width: int, height: int, colour: int, channels: int) -> bytes:
    """A small PNG file that unpacks to width x height pixels of one colour."""
    packer, row = zlib.compressobj(9), bytes(1 + width * channels)
    return png(
        width, height, colour=colour, data=b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    )


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def rotated() -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return encoded(noise(24, 36, 3), "JPEG", exif=exif)


def palette() -> bytes:
    picture = noise(24, 24, 3).quantize(16)
    return encoded(picture, "PNG", transparency=3)


def animated() -> bytes:
    frames = [noise(24, 24).convert("P") for _ in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


JPEG, PNG = encoded(noise(40, 40, 3), "JPEG"), encoded(noise(40, 40, 3), "PNG")

FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", UNREADABLE),
    "empty.png": (lambda: b"", UNREADABLE),
    "cut.jpg": (lambda: JPEG[: len(JPEG) // 2], UNREADABLE),
    "cut.png": (lambda: PNG[: len(PNG) // 2], UNREADABLE),
    "cut.gif": (lambda: encoded(noise(40, 40), "GIF")[:600], UNREADABLE),
    "cut.bmp": (lambda: encoded(noise(40, 40, 3), "BMP")[:900], UNREADABLE),
    "cut.tif": (lambda: encoded(noise(40, 40, 3), "TIFF")[:900], UNREADABLE),
    "cut.webp": (lambda: encoded(noise(40, 40, 3), "WEBP")[:300], UNREADABLE),
    "header only.png": (lambda: PNG[:33], UNREADABLE),
    "signature only.jpg": (lambda: b"\xff\xd8\xff", UNREADABLE),
    "text.jpg": (lambda: b"this is a note, no picture\n" * 20, UNREADABLE),
    "page.png": (lambda: b"<!doctype html><title>404</title>", UNREADABLE),
    "paper.jpeg": (lambda: b"%PDF-1.7\n" + bytes(500), UNREADABLE),
    "archive.png": (lambda: b"PK\x03\x04" + bytes(500), UNREADABLE),
    "zeros.jpg": (lambda: bytes(4096), UNREADABLE),
    "flipped checksum.png": (lambda: flipped(PNG, 29), UNREADABLE),
    "flipped pixels.png": (lambda: flipped(PNG, len(PNG) // 2), UNREADABLE),
    "no size.png": (lambda: png(0, 0), UNREADABLE),
    "huge header.png": (lambda: png(2**31 - 1, 2**31 - 1), UNREADABLE),
    "wide header.png": (lambda: png(100_000, 100_000), UNREADABLE),
    "huge header.bmp": (lambda: encoded(noise(4, 4, 3), "BMP")[:18] + struct.pack("<ii", 60_000, 60_000), UNREADABLE),
    "grey bomb.png": (lambda: bomb(20_000, 20_000, 0, 1), UNREADABLE),
    "colour bomb.png": (lambda: bomb(12_000, 12_000, 2, 3), UNREADABLE),
    "clear bomb.png": (lambda: bomb(10_000, 10_000, 6, 4), UNREADABLE),
    "large but honest.png": (lambda: bomb(5_000, 5_000, 2, 3), READ),
    "one bit bomb.png": (lambda: encoded(Pillow.new("1", (20_000, 10_000)), "PNG"), UNREADABLE),
    "cmyk.jpg": (lambda: encoded(noise(24, 24, 3).convert("CMYK"), "JPEG"), READ),
    "deep.png": (lambda: encoded(Pillow.fromarray(RANDOM.integers(0, 65536, (24, 24), dtype=np.uint16)), "PNG"), READ),
    "deep.tif": (lambda: encoded(Pillow.fromarray(RANDOM.random((24, 24), dtype=np.float32)), "TIFF"), READ),
    "rotated.jpg": (rotated, READ),
    "palette.png": (palette, READ),
    "animated.gif": (animated, READ),
    "a png.jpg": (lambda: PNG, READ),
    "a jpeg.png": (lambda: JPEG, READ),
    "garbage tail.jpg": (lambda: JPEG + RANDOM.bytes(5000), READ),
    "bad exif.jpg": (lambda: encoded(noise(24, 24, 3), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), READ),
    "one pixel.png": (lambda: encoded(noise(1, 1, 3), "PNG"), READ),
    "a line.png": (lambda: encoded(noise(1, 3000), "PNG"), READ),
    "new\nline.png": (lambda: PNG, READ),
    "grüße 猫 🐈.png": (lambda: PNG, READ),
    "SHOUTED.PNG": (lambda: PNG, READ),
}
"""Name -> (its content, what becomes of it)."""

LINKS = {"broken.png": "nowhere.png", "itself.png": "itself.png"}
"""Links that lead nowhere, or to themselves; `folder.jpg` and `pipe.png` are made beside them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad")
    (root / "good").mkdir()
    (root / "bad").mkdir()
    for number in range(30):
        noise(24, 24, 3).save(root / "good" / f"{number}.png")
    for name, (content, _) in FILES.items():
        (root / "bad" / name).write_bytes(content())
    for name, target in LINKS.items():
        (root / "bad" / name).symlink_to(target)
    (root / "bad" / "folder.jpg").mkdir()
    (root / "bad" / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "bad" / "pipe.png")
    return root


@pytest.fixture(scope="module")
def read(folder: Path) -> tuple[Table, Stored]:
    table = source.read(str(folder))
    return table, prepare(table.columns["image"], Image.survey(table.columns["image"]))


@pytest.mark.parametrize("name", FILES)
def test_each_file_has_its_fate(read: tuple[Table, Stored], folder: Path, name: str) -> None:
    table, stored = read
    row = table.columns["image"].values.index(str(folder / "bad" / name))
    reasons = {problem.row: problem.reason for problem in stored.problems}
    if FILES[name][1] == READ:
        assert stored.ok[row], reasons.get(row)
        assert stored.gather([row])["pixels"][0].ndim == 3
    else:
        assert not stored.ok[row] and len(reasons[row]) > 10


def test_what_is_no_file_is_no_row_and_is_named(read: tuple[Table, Stored], folder: Path) -> None:
    table, _ = read
    inside = {Path(path).name for path in table.columns["image"].values}
    assert not inside & {*LINKS, "folder.jpg", "pipe.png"} and len(inside) == 30 + len(FILES)
    said = "\n".join(place for finding in table.findings for place in finding.where)
    assert all(name in said for name in (*LINKS, "pipe.png", "loop"))
    assert len(FILES) >= 40


def test_a_pipe_that_is_named_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="regular file"):
        Image().store(str(tmp_path / "pipe.png"))


MEASURED = """
import resource, sys
from engram.data import source
from engram.data.store import prepare
from engram.features.image import Image
table = source.read(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare(table.columns["image"], Image.survey(table.columns["image"]), cache=sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in other units elsewhere")
def test_reading_them_takes_little_memory_and_time(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURED, str(folder), str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert int(printed) < 512 * 2**20


def test_training_names_every_unreadable_file_before_the_first_step(folder: Path) -> None:
    command = [sys.executable, "-m", "engram", "inspect", str(folder), "--json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    unreadable = [name for name, (_, fate) in FILES.items() if fate == UNREADABLE]
    assert all(name.replace("\n", "\\n") in printed for name in unreadable)
