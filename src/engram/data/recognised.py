"""What prepared values are recognised by: names that change with content, and with how a feature stores it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.data.packed import Packed, Rows
from engram.data.source.fingerprint import of_values
from engram.data.table import Lazy

if TYPE_CHECKING:
    from engram.data.table import Column
    from engram.features.feature import Feature

FORMAT = 1
"""Of prepared stores; data of another one is prepared again."""


def store_names(column: Column, feature: Feature) -> list[str]:
    """Names under which a column may be prepared: they change with the values and with how the feature stores them.

    The first is the one to write; see `Feature.store_keys`.
    """
    content = hashlib.blake2b(digest_size=16)
    for piece in _fingerprint(column):
        content.update(piece)
    names = []
    for key in feature.store_keys():
        hashed = content.copy()
        hashed.update(json.dumps([FORMAT, feature.name, feature.version, key], sort_keys=True).encode())
        names.append(f"{feature.name}-{hashed.hexdigest()}")
    return names


def _fingerprint(column: Column) -> Iterator[bytes | memoryview]:
    """Pieces of bytes that differ where the values do. Files count by path, size and time of change.

    A fingerprint that the source has taken is used, together with where its first file stands: it covers relative
    paths, and two folders unpacked from archives can agree in names, sizes and times.
    """
    if column.fingerprint and len(column):
        yield column.fingerprint.encode()
        first = (
            column.values.root if isinstance(column.values, Lazy) else column.values[0] if column.kind == "path" else ""
        )
        yield os.path.abspath(first).encode("utf-8", "surrogateescape") if first else b""  # noqa: PTH100
    elif isinstance(column.values, Rows):
        for name, one in column.values.columns.items():
            yield f"{name}\0{one.kind}".encode()
            yield from _fingerprint(one)
    elif isinstance(column.values, Packed):
        yield of_values(column.values).encode()
    elif isinstance(column.values, np.ndarray) and column.values.dtype != object:
        yield f"{column.values.dtype}{column.values.shape}".encode()
        yield np.ascontiguousarray(column.values).reshape(-1).view(np.uint8).data
    elif column.kind == "path":
        paths = [os.path.abspath(value) for value in column.values]  # noqa: PTH100  (Path.absolute is 20 times slower)
        yield "\0".join(paths).encode("utf-8", "surrogateescape")
        yield np.array([_stat(path) for path in paths], dtype=np.int64).tobytes()
    else:
        for value in column.values:
            yield from _value_fingerprint(value)


def _stat(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116  (70,000 of them: Path costs more than the call)
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _value_fingerprint(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, bytes | bytearray):
        yield len(value).to_bytes(8, "little")
        yield bytes(value)
        return
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    yield f"{getattr(value, 'mode', '')}{array.dtype}{array.shape}".encode()
    yield array.tobytes()
