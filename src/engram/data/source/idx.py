"""IDX files, the form of MNIST and its kin: train-images-idx3-ubyte.gz and the labels beside it.

The format: two zero bytes, one for the type, one for the number of dimensions, the dimensions as
big-endian 32-bit integers, then the values, big-endian, last dimension fastest (yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engram.core.errors import DataError
from engram.data.source.arrays import Part, from_parts
from engram.data.source.splits import split_named
from engram.data.table import Table

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DEFLATE = 1032
"""A gzip file expands at most about this many times: a header that claims more lies."""


def is_idx(path: str | Path) -> bool:
    """Tell by the first bytes whether a file is IDX, compressed or not."""
    try:
        with _open(Path(path)) as file:
            start = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in _TYPES and 0 < start[3] <= 8


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file, in the machine's byte order. DataError where it is cut short or none."""
    path = Path(path)
    try:
        with _open(path) as file:
            kind, shape = _header(file, path)
            expected = math.prod(shape) * np.dtype(kind).itemsize
            content = _content(file, path, expected)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"expected an IDX file; {path} is damaged ({error}). Download it again.") from None
    if len(content) != expected:
        raise DataError(
            f"expected {expected:,} bytes of values in {path} for the shape {shape} of its header; "
            f"got {len(content):,}. The file was cut short: download it again."
        )
    array = np.frombuffer(content, kind).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_idx_files(paths: list[str], *, origin: str) -> Table:
    """Read IDX files as a table: pictures are paired with labels, and given splits found, by their names.

    train-images-idx3-ubyte goes with train-labels-idx1-ubyte; "t10k" is MNIST's name for its test set.
    DataError where pictures and labels differ in number, or no file holds pictures.
    """
    images = {path: read_idx(path) for path in sorted(paths) if "label" not in Path(path).name.lower()}
    images = {path: array for path, array in images.items() if array.ndim >= 2}
    if not images:
        raise DataError(f"expected IDX files with pictures (two dimensions or more); {origin} has none.")
    return from_parts([_part(path, array, paths) for path, array in images.items()], origin=origin, form="IDX files")


def _part(path: str, array: np.ndarray, paths: list[str]) -> Part:
    label = next((other for other in [*paths, *_neighbours(path)] if other != path and _key(other) == _key(path)), None)
    words = re.split(r"[\W_]+", Path(path).name.lower())
    split = "test" if "t10k" in words else next((s for word in words if (s := split_named(word))), "")
    return Part(split, array, None if label is None else read_idx(label), name=Path(path).name)


def _neighbours(path: str) -> list[str]:
    """Return the labels that may lie beside a single file of pictures."""
    return [str(other) for other in sorted(Path(path).parent.glob("*label*")) if is_idx(other)]


def _key(path: str) -> str:
    """Return what the names of a pair have in common."""
    name = Path(path).name.lower().removesuffix(".gz")
    return str(Path(path).parent / re.sub(r"images?|labels?|idx\d", "", name))


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else open(path, "rb")


def _header(file: BinaryIO | gzip.GzipFile, path: Path) -> tuple[str, tuple[int, ...]]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise DataError(f"expected an IDX file; {path} begins with {start!r}. Name another file.")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"expected {start[3]} dimensions in the header of {path}; it was cut short. Download it again.")
    return _TYPES[start[2]], struct.unpack(f">{start[3]}I", sizes)


def _content(file: BinaryIO | gzip.GzipFile, path: Path, expected: int) -> bytes:
    """Read the values; no more memory is taken than the file can fill, whatever its header claims."""
    most = path.stat().st_size * (_MAX_DEFLATE if isinstance(file, gzip.GzipFile) else 1)
    return file.read(min(expected, most))
