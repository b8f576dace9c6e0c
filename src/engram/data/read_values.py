"""Read every value of a column through its feature, on as many cores as pay, with flat memory."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engram.core import machine
from engram.core.errors import DataError

if TYPE_CHECKING:
    from engram.data.table import Column
    from engram.features.feature import Feature

CHUNK = 64
"""Values one thread reads at a time: small enough for a smooth progress bar and flat memory."""

QUICK_SECONDS = 0.0004
"""Values read faster than this are read on one thread; see `_read_first`."""


class Read(NamedTuple):
    """One value as its feature stores it, and the digest of its content."""

    values: dict[str, Any]
    digest: bytes


def read_value(feature: Feature, values: Sequence[Any], row: int) -> Read | str:
    """Return the stored value of a row, or the reason why it cannot be read."""
    try:
        stored = feature.store(values[row])
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    return Read(stored, content_digest(next(iter(stored.values()))))


def content_digest(value: Any) -> bytes:
    """16 bytes that are equal for equal content: an array's shape and bytes, or a text or list of texts.

    A feature's first array is its content; what follows (an original's size) says where it came from.
    """
    if isinstance(value, np.ndarray):
        hashed = hashlib.blake2b(f"{value.dtype.str}{value.shape}".encode(), digest_size=16)
        hashed.update(np.ascontiguousarray(value).data)
        return hashed.digest()
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).digest()


def read_all(column: Column, feature: Feature) -> Iterator[Read | str]:
    """Read all values in order, on as many threads as pay. At most a few chunks are in memory at a time."""
    number = len(column)
    first, quick = _read_first(feature, column, range(min(CHUNK, number)))
    yield from first
    chunks = (range(start, min(start + CHUNK, number)) for start in range(CHUNK, number, CHUNK))
    if quick:
        for rows in chunks:
            yield from _read_some(feature, column, rows)
    else:
        yield from _read_in_threads(feature, column, chunks, workers=machine.cores())


def _read_first(feature: Feature, column: Column, rows: range) -> tuple[list[Read | str], bool]:
    """Read a first chunk and say whether values are so small that more threads would only wait for one another.

    Decoding a large picture runs outside Python's lock and gains from every core; opening a small one is nearly
    all Python, and two threads were measured to take twice as long as one (28 x 28 PNG, 70 us each).
    """
    results, seconds = [], []
    for row in rows:
        began = time.perf_counter()
        results.append(read_value(feature, column.values, row))
        seconds.append(time.perf_counter() - began)
    return results, bool(seconds) and float(np.median(seconds)) < QUICK_SECONDS


def _read_in_threads(
    feature: Feature, column: Column, chunks: Iterable[range], *, workers: int
) -> Iterator[Read | str]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
    waiting: deque[Future[list[Read | str]]] = deque()
    try:
        for rows in chunks:
            waiting.append(pool.submit(_read_some, feature, column, rows))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read_some(feature: Feature, column: Column, rows: range) -> list[Read | str]:
    return [read_value(feature, column.values, row) for row in rows]
