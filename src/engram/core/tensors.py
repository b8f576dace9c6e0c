"""Files of tensors (safetensors), looked at without torch: what they hold, and whether that can be.

The format: eight bytes with the header's length, the header in JSON (name -> type, shape, place), the numbers.
Everything here raises ValueError, which says what is wrong; whoever reads names the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram.core import strict

MOST_HEADER = 16 << 20
MOST_AXES = 16
LONGEST_NAME = 500

SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Type -> bytes of one number."""

READ_AS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
PIECE = 1 << 22


@dataclass(frozen=True)
class Entry:
    """A tensor of a file. begin, end: its bytes, counted from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def header(path: Path) -> dict[str, Entry]:
    """Read what a file says it holds; ValueError unless its tensors fill it exactly, one after another."""
    found = strict.check_plain(path)
    if found is None:
        raise FileNotFoundError(path)
    if found.st_size > 1 << 30 and getattr(found, "st_blocks", found.st_size) * 512 < found.st_size // 100:
        raise ValueError(f"it claims {found.st_size} bytes and is full of holes")
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, found.st_size - 8):
            raise ValueError("it is no file of tensors: its header has an impossible length")
        described = strict.parse(file.read(length))
    if not isinstance(described, dict):
        raise ValueError("its header is no object")
    described.pop("__metadata__", None)
    entries = {name: _entry(name, value, first=8 + length) for name, value in described.items()}
    place = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != place:
            raise ValueError(f"{name!r} overlaps another tensor or leaves a gap")
        place = entry.end
    if place != found.st_size:
        raise ValueError(f"it has {found.st_size} bytes; its tensors need {place}")
    return entries


def _entry(name: str, described: Any, *, first: int) -> Entry:
    fields = described if isinstance(described, dict) else {}
    dtype, shape, place = fields.get("dtype"), _whole(fields.get("shape")), _whole(fields.get("data_offsets"))
    if not name.isprintable() or len(name) > LONGEST_NAME or ".." in name.split("/"):
        raise ValueError(f"a tensor has the impossible name {name[:LONGEST_NAME]!r}")
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise ValueError(f"{name!r} is of an unknown type {dtype!r}")
    if shape is None or len(shape) > MOST_AXES or place is None or len(place) != 2:
        raise ValueError(f"{name!r} has an impossible shape or place")
    if math.prod(shape) * SIZES[dtype] != place[1] - place[0]:
        raise ValueError(f"{name!r} has {place[1] - place[0]} bytes, which do not fit its shape {shape}")
    return Entry(dtype, tuple(shape), first + place[0], first + place[1])


def _whole(values: Any) -> list[int] | None:
    """A list of whole numbers as it is; None for anything else."""
    fits = isinstance(values, list) and all(type(v) is int and 0 <= v < 2**62 for v in values)
    return values if fits else None


def not_finite(path: Path, entries: dict[str, Entry]) -> dict[str, str]:
    """Name the tensors that hold what is no number: name -> "NaN", or "infinity" where that is all."""
    import numpy as np

    found: dict[str, str] = {}
    for name, entry in entries.items():
        if entry.dtype not in READ_AS or entry.begin == entry.end:
            continue
        numbers = np.memmap(path, READ_AS[entry.dtype], "r", entry.begin, shape=(math.prod(entry.shape),))
        for start in range(0, len(numbers), PIECE):
            piece = numbers[start : start + PIECE]
            if entry.dtype == "BF16":  # numpy does not know it; it is the upper half of a float32
                piece = (piece.astype("<u4") << 16).view("<f4")
            if not np.isfinite(piece).all():
                found[name] = "NaN" if np.isnan(piece).any() or found.get(name) == "NaN" else "infinity"
    return found
