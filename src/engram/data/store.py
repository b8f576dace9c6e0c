"""The prepared store: every value read once, checked, and kept so that any rows are gathered at once.

On disk one folder per (column, feature): a flat file per array, shapes, and which rows are readable. It is
written beside its final name and renamed, so a half-written store is never used, and two processes that prepare
the same data at once each write their own; the first to finish wins.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core import durable, events
from engram.core.errors import DataError
from engram.core.units import format_bytes
from engram.data.packed import coded
from engram.data.read_values import CHUNK, Read, read_all, read_value
from engram.data.recognised import FORMAT, store_names
from engram.data.stored import Problem, Ragged, Stored, collate, ragged
from engram.features.feature import Misconfigured

if TYPE_CHECKING:
    from engram.data.table import Column
    from engram.features.feature import Feature, Whole

__all__ = ["Problem", "Ragged", "Stored", "cache_root", "collate", "prepare", "store_names"]

SMALL_BYTES = 1 << 22
"""What is stored at once and takes no more is kept in memory: to prepare it again is as quick as to open a folder."""

STALE_SECONDS = 24 * 3600
"""Unfinished stores older than this were left by a crash."""


_elsewhere: ContextVar[Path | None] = ContextVar("elsewhere", default=None)


def cache_root() -> Path:
    """The folder of prepared data: $ENGRAM_CACHE, or ~/.cache/engram; see `forgetting`."""
    return _elsewhere.get() or Path(os.environ.get("ENGRAM_CACHE") or Path.home() / ".cache" / "engram")


@contextmanager
def forgetting() -> Iterator[None]:
    """Within the block, data is prepared in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="engram-") as folder:
        token = _elsewhere.set(Path(folder))
        try:
            yield
        finally:
            _elsewhere.reset(token)


def prepare(column: Column, feature: Feature, *, cache: str | Path | None = None) -> Stored:
    """Read every value of a column as the feature stores it; open what has been prepared before.

    cache: the folder of prepared data (default: `cache_root()`). What cannot be read becomes a problem, not an
    error. DataError if the disk has too little room. Where the feature's survey was wrong about a value, the
    feature is configured again and everything read anew.
    """
    try:
        if not feature.on_disk:
            return in_memory(column, feature)
        return _on_disk(column, feature, Path(cache) if cache is not None else cache_root())
    except Misconfigured as found:
        feature.__init__(**found.config)  # type: ignore[misc]
        return prepare(column, feature, cache=cache)


def in_memory(column: Column, feature: Feature) -> Stored:
    """Read every value of a column as the feature stores it, and keep nothing on disk."""
    if (whole := feature.store_all(column)) is not None:
        return _at_once(column, whole)
    # Labels repeat: each different one is read once.
    different, code = (column.values, np.arange(len(column))) if column.lazy else coded(column.values)
    read = [read_value(feature, different, place) for place in range(len(different))]
    wrong = np.array([isinstance(one, str) for one in read], bool)
    digest = np.frombuffer(b"".join(bytes(16) if isinstance(one, str) else one.digest for one in read), np.uint8)
    names = next((one.values for one in read if isinstance(one, Read)), {})
    arrays = {}
    for name in names:
        held = [one.values[name] if isinstance(one, Read) else None for one in read]
        arrays[name] = [held[place] for place in code.tolist()]
    rows = np.flatnonzero(wrong[code])
    problems = [Problem(row, column.where(row), str(read[code[row]])) for row in rows.tolist()]
    return Stored(arrays, ~wrong[code], digest.reshape(-1, 16)[code], problems)


def _at_once(column: Column, whole: Whole) -> Stored:
    """What a feature stored at once."""
    arrays = {name: ragged(*v) if isinstance(v, tuple) else v for name, v in whole.arrays.items()}
    ok = np.ones(len(column), bool)
    ok[list(whole.problems)] = False
    problems = [Problem(row, column.where(row), reason) for row, reason in sorted(whole.problems.items())]
    return Stored(arrays, ok, whole.digest, problems)


def _on_disk(column: Column, feature: Feature, cache: Path) -> Stored:
    folders = [cache / "prepared" / name for name in store_names(column, feature)]
    for folder in folders:
        if folder.is_dir() and (found := _open_sound(folder, column)) is not None:
            return found
    whole = feature.store_all(column)
    if whole is not None and _num_bytes(whole) <= SMALL_BYTES:
        return _at_once(column, whole)
    try:
        _write_store(column, feature, folders[0], whole)
    except OSError as error:
        raise DataError(
            f"prepared data cannot be written to {folders[0].parent} ({error.strerror or error}; free are "
            f"{durable.free_bytes(folders[0])} bytes). Make room there, or set ENGRAM_CACHE to a folder that can be "
            "written."
        ) from None
    return _open(folders[0], column)


def _num_bytes(whole: Whole) -> int:
    return sum((values[0] if isinstance(values, tuple) else values).nbytes for values in whole.arrays.values())


def _open_sound(folder: Path, column: Column) -> Stored | None:
    """Open a store, or remove it and return None where somebody has deleted or cut some of its files."""
    try:
        return _open(folder, column)
    except (OSError, ValueError, KeyError) as error:
        events.warn(f"The prepared data in {folder} is damaged ({error}) and is prepared again.")
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _write_store(column: Column, feature: Feature, folder: Path, whole: Whole | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    temporary = Path(tempfile.mkdtemp(prefix=folder.name + ".", suffix=".tmp", dir=folder.parent))
    try:
        if whole is not None:
            _fill_at_once(temporary, whole)
        else:
            _fill_one_by_one(temporary, column, feature)
        _sync(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / "info.json").is_file():  # otherwise another process was faster: its store is as good
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what a crash left behind."""
    for path in parent.glob("*.tmp"):
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _fill_at_once(folder: Path, whole: Whole) -> None:
    number, dtypes = len(whole.digest), {}
    for name, values in whole.arrays.items():
        flat, sizes = values if isinstance(values, tuple) else (values, None)
        _check_room(folder, flat.nbytes)
        np.ascontiguousarray(flat).tofile(folder / f"{name}.bin")
        shapes = np.array(flat.shape[1:], np.int32)[None] if sizes is None else sizes[:, None]
        np.save(folder / f"{name}.shapes.npy", shapes)
        dtypes[name] = str(flat.dtype)
    _describe(folder, whole.digest, np.ones(number, bool), dtypes, [])


def _fill_one_by_one(folder: Path, column: Column, feature: Feature) -> None:
    writers: dict[str, Writer] = {}
    digest = np.zeros((len(column), 16), dtype=np.uint8)
    ok = np.zeros(len(column), dtype=bool)
    problems = []
    for row, result in enumerate(_progress(read_all(column, feature), len(column))):
        if row == CHUNK:
            _check_room(folder, sum(w.bytes for w in writers.values()) / row * len(column))
        if isinstance(result, str):
            problems.append([row, result])
            continue
        ok[row] = True
        digest[row] = np.frombuffer(result.digest, dtype=np.uint8)
        for name, value in result.values.items():
            if name not in writers:
                writers[name] = Writer(folder, name, value)
            writers[name].append(value)
    for writer in writers.values():
        writer.close()
    _describe(folder, digest, ok, {name: str(writer.dtype) for name, writer in writers.items()}, problems)


def _describe(
    folder: Path, digest: np.ndarray, ok: np.ndarray, dtypes: dict[str, str], problems: list[list[Any]]
) -> None:
    np.save(folder / "digest.npy", digest)
    np.save(folder / "ok.npy", ok)
    info = {"format": FORMAT, "number": len(ok), "arrays": dtypes, "problems": problems}
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")


class Writer:
    """Appends arrays of one name to a flat file and remembers their shapes."""

    def __init__(self, folder: Path, name: str, example: np.ndarray) -> None:
        self.path = folder / name
        self.dtype = example.dtype
        self.bytes = 0
        self.shapes: list[tuple[int, ...]] = []
        self._file = open(f"{self.path}.bin", "wb", buffering=1 << 20)  # noqa: SIM115  (closed by `close`)

    def append(self, value: np.ndarray) -> None:
        """Write one more array."""
        assert value.dtype == self.dtype, "a feature stores one dtype per name"
        self._file.write(np.ascontiguousarray(value).data)
        self.bytes += value.nbytes
        self.shapes.append(value.shape)

    def close(self) -> None:
        """Write the shapes too; one row where all are the same."""
        self._file.close()
        shapes = np.array(self.shapes, dtype=np.int32)
        np.save(f"{self.path}.shapes.npy", shapes[:1] if (shapes == shapes[0]).all() else shapes)


def _sync(folder: Path) -> None:
    """Make sure that everything is on disk before the folder gets its name."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _check_room(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"preparing this data needs {format_bytes(needed)} ({needed:.0f} bytes) in {folder.parent}; free are "
            f"{format_bytes(free)} ({free} bytes). Make room, or set ENGRAM_CACHE to a folder on a larger disk."
        )


def _progress(results: Iterator[Read | str], number: int) -> Iterator[Read | str]:
    """Pass results on and tell how far they are, ten times a second at most."""
    told = 0.0
    for done, result in enumerate(results, start=1):
        yield result
        if time.monotonic() - told > 0.1 or done == number:
            told = time.monotonic()
            events.emit("progress", name="preparing", done=done, total=number)


def _open(folder: Path, column: Column) -> Stored:
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    ok = np.load(folder / "ok.npy")
    arrays = {name: _map(folder, name, np.dtype(dtype), ok) for name, dtype in info["arrays"].items()}
    problems = [Problem(row, column.where(row), reason) for row, reason in info["problems"]]
    return Stored(arrays, ok, np.load(folder / "digest.npy"), problems, {"folder": str(folder)})


def _map(folder: Path, name: str, dtype: np.dtype, ok: np.ndarray) -> Any:
    path = folder / f"{name}.bin"
    flat = np.asarray(np.memmap(path, dtype=dtype, mode="r")) if path.stat().st_size else np.zeros(0, dtype)
    shapes = np.load(folder / f"{name}.shapes.npy")
    values = int(shapes.prod(1, dtype=np.int64).sum()) * (int(ok.sum()) if len(shapes) == 1 else 1)
    if len(flat) != values:
        raise ValueError(f"{name}.bin holds {len(flat)} values, not {values}")
    if len(shapes) == 1 and ok.all():
        return flat.reshape(len(ok), *shapes[0])
    all_shapes = np.zeros((len(ok), shapes.shape[1]), dtype=np.int32)
    all_shapes[ok] = shapes
    sizes = all_shapes.prod(1, dtype=np.int64)
    return Ragged(flat, np.cumsum(sizes) - sizes, all_shapes)
