"""Answers to many items, kept as a Parquet file: `engram predict RUN big.csv --out answers.parquet`.

Each chunk of answers becomes a file in a folder beside the one that is wanted, so that memory stays flat and an
interrupted command goes on where it was. The file itself appears once it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from engram import __version__
from engram.core import durable, events, strict
from engram.core.errors import ConfigError, DataError

CHUNK = 8192
"""Answers that are kept at a time."""

KEY = "of.json"
"""In the folder: what the answers are of. Others are begun anew."""


def write(
    predictor: Any, items: Iterable[Any], out: str | os.PathLike[str], *, key: Any, **options: Any
) -> dict[str, Any]:
    """Answer for items and write the answers to a file, one row each, in order.

    key: what, beside run and options, the answers depend on, as JSON; None where that cannot be said, and an
    interrupted command begins anew. Returns {"out", "rows", "unread", "seconds"}.
    """
    path, began = checked(out), time.monotonic()
    whole_key = {"engram": __version__, "run": strict.digest(predictor.run / "run.json"), "options": options, "of": key}
    folder = _opened(path, whole_key if key is not None else None)
    rest, number, done = iter(items), 0, 0
    while some := list(islice(rest, CHUNK)):
        part = folder / f"{number:06}.parquet"
        if not part.exists():
            _write(_frame(list(predictor.stream(some, **options)), first=done), part)
        number, done = number + 1, done + len(some)
        events.emit("progress", name="answering", done=done, total=None)
    if not done:
        raise DataError("expected items to answer for; there are none")
    unread = _join(sorted(folder.glob("*.parquet"))[:number], path)
    shutil.rmtree(folder)
    return {"out": str(path), "rows": done, "unread": unread, "seconds": round(time.monotonic() - began, 3)}


def checked(out: str | os.PathLike[str]) -> Path:
    """Return where answers are to be kept; ConfigError where they cannot be."""
    path = Path(out)
    if path.suffix.lower() != ".parquet":
        raise ConfigError(f"expected --out to name a .parquet file; got {path}")
    if path.exists():
        raise ConfigError(f"expected --out to name what is not there yet; {path} is. Name another, or remove it.")
    if not path.parent.is_dir():
        raise ConfigError(f"expected --out in a folder that is there; there is no {path.parent}")
    return path


def identity(items: Sequence[Any]) -> Any:
    """What tells files from what they were before, where all items are files; else None."""
    found = []
    for item in items:
        if not isinstance(item, str | os.PathLike) or not Path(item).is_file():
            return None
        stat = Path(item).stat()
        found.append([str(Path(item).resolve()), stat.st_size, stat.st_mtime_ns])
    return found


def _opened(path: Path, key: dict[str, Any] | None) -> Path:
    """The folder of an interrupted command that did the same, or a new one."""
    folder = path.with_name(f".{path.name}.parts")
    written = json.dumps(key, sort_keys=True, default=str).encode()
    known = folder / KEY
    if folder.is_dir() and key is not None and known.is_file() and known.read_bytes() == written:
        if kept := len(list(folder.glob("*.parquet"))):
            events.note(f"The first {kept * CHUNK:,} answers are here from before; it goes on after them.")
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    durable.make_folder(folder)
    durable.write_atomically(known, written)
    return folder


def _frame(answers: list[dict[str, Any]], *, first: int) -> Any:
    """A table of answers: one column for each field, and the row of the item."""
    import polars as pl

    names = dict.fromkeys(name for answer in answers for name in answer)
    columns = {name: [_plain(answer.get(name)) for answer in answers] for name in names}
    rows = pl.Series("row", range(first, first + len(answers)), pl.Int64)
    return pl.DataFrame([rows, *(pl.Series(name, values, strict=False) for name, values in columns.items())])


def _plain(value: Any) -> Any:
    """A value as a column can hold it: of names and numbers, such as probabilities, a list of both."""
    if isinstance(value, Mapping):
        return [{"name": str(name), "value": float(number)} for name, number in value.items()]
    return value


def _write(frame: Any, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    with durable.telling(path, needed=frame.estimated_size()):
        frame.write_parquet(temporary)
        durable.sync(temporary)
        temporary.replace(path)


def _join(parts: list[Path], path: Path) -> int:
    """Put the parts together without reading all of them at once; return how many items could not be read."""
    import polars as pl

    whole = pl.concat([pl.scan_parquet(part) for part in parts], how="diagonal_relaxed")
    temporary = path.with_name(path.name + ".tmp")
    with durable.telling(path, needed=sum(part.stat().st_size for part in parts)):
        whole.sink_parquet(temporary)
        durable.sync(temporary)
        temporary.replace(path)
        durable.sync_folder(path.parent)
    if "error" not in whole.collect_schema():
        return 0
    return int(whole.select(pl.col("error").is_not_null().sum()).collect().item())
