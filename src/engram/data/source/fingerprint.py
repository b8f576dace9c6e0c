"""Fingerprints of what was read: they change when the data does, and stay when it is only read again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from engram.data.packed import CHUNK, Packed

PLAIN = {str, int, float, bool, type(None)}
"""Types whose values are written out together: one by one, the labels of 70,000 rows take a fifth of a second."""


def digest(*parts: str | bytes) -> str:
    """Return 32 hexadecimal digits over some parts, their lengths included."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        # File names need not be UTF-8: what the system could not decode goes in as it is.
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return state.hexdigest()


def of_files(files: Iterable[tuple[str, int, int]]) -> str:
    """Return the fingerprint of (relative path, size, modification time), in the order given."""
    return digest("\0".join([f"{path}\0{size}\0{time}" for path, size, time in files]))


def of_values(values: Any) -> str:
    """Return the fingerprint of values held in memory, by their content."""
    import numpy as np

    if isinstance(values, np.ndarray) and values.dtype != object:
        return digest(str(values.dtype), str(values.shape), np.ascontiguousarray(values).tobytes())
    if isinstance(values, Packed):
        return _of_packed(values)
    if isinstance(values, list) and {*map(type, values)} <= PLAIN:
        starts = range(0, len(values), CHUNK)
        return digest("plain", *(repr(values[start : start + CHUNK]) for start in starts))
    state = hashlib.blake2b(digest_size=16)
    for value in values:
        state.update(_of_value(value).encode())
    return state.hexdigest()


def _of_packed(values: Packed) -> str:
    series, kind = values.series, str(values.series.dtype)
    parts: list[str | bytes] = [kind, values.missing.tobytes()]
    if not values.is_text:
        return digest(*parts, series.fill_null(False if kind == "Boolean" else 0).to_numpy().tobytes())
    parts += [series.str.len_bytes().fill_null(0).to_numpy().tobytes()]
    starts = range(0, len(series), CHUNK)
    return digest(*parts, *("".join(filter(None, series.slice(start, CHUNK).to_list())) for start in starts))


def _of_value(value: Any) -> str:
    if isinstance(value, str | bytes):
        return digest(type(value).__name__, value)
    if hasattr(value, "tobytes"):
        form = [str(getattr(value, name, "")) for name in ("dtype", "shape", "mode", "size")]
        return digest(*form, value.tobytes())
    return digest(type(value).__name__, repr(value))
