"""A table in a file: CSV, TSV, JSONL or Parquet, with a column of paths or of encoded pictures, and labels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core.errors import DataError
from engram.data.source.columns import to_table
from engram.data.source.fingerprint import digest
from engram.data.source.listing import is_picture
from engram.data.table import Table

if TYPE_CHECKING:
    import polars

MISSING = ("", "nan", "NaN", "null", "NULL", "N/A", "#N/A")
"""What stands for a missing value in CSV. "NA" and "None" are missing among numbers only: they may be classes."""


def read_tabular(path: str) -> Table:
    """Read a table; relative paths in it start from its own folder. DataError says why it cannot be read."""
    base = str(Path(path).parent)
    return to_table(read_columns(path), base=base, origin=path, content=file_fingerprint(path))


def read_columns(path: str) -> dict[str, list[Any]]:
    """Read a table file into columns of plain Python values, missing ones as None."""
    import polars

    extension = Path(path).suffix.lower()
    try:
        if extension in (".csv", ".tsv"):
            return _from_csv(path)
        frame = polars.read_parquet(path) if extension in (".parquet", ".pq") else _read_jsonl(path)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"expected a {extension[1:]} table; {path} cannot be read as one ({reason}). Mend it."
        ) from None
    return from_frame(frame)


def from_frame(frame: polars.DataFrame) -> dict[str, list[Any]]:
    """Return the columns of a polars frame as plain Python values; rows of arrays as numpy arrays."""
    return {name: _values(frame[name]) for name in frame.columns}


def file_fingerprint(path: str) -> str:
    """Return the fingerprint of a file: its content, or size and time where it is larger than 256 MiB."""
    status = Path(path).stat()
    if status.st_size > 2**28:
        return digest("stamp", f"{status.st_size} {status.st_mtime_ns}")
    with open(path, "rb") as file:
        return digest("content", file.read())


def _from_csv(path: str) -> dict[str, list[Any]]:
    import polars

    with open(path, "rb") as file:
        content = _utf8(file.read())
    separator = "\t" if path.lower().endswith(".tsv") else _separator(content)

    def read(*, header: bool) -> polars.DataFrame:
        # Everything is read as text: a label 007 is no number, and no row decides the kind of those after it.
        return polars.read_csv(
            io.BytesIO(content), separator=separator, infer_schema=False, has_header=header, null_values=list(MISSING)
        )

    frame = read(header=True)
    if any(is_picture(name) for name in frame.columns):
        frame = read(header=False)
        frame.columns = [f"column_{number + 1}" for number in range(frame.width)]
    return {name.strip(): _typed(frame[name]) for name in frame.columns}


def _utf8(content: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark, whatever of the usual encodings it was in."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16").encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()
    return content


def _separator(content: bytes) -> str:
    first = content.split(b"\n", 1)[0].decode("utf-8")
    return max(",;\t|", key=first.count)


def _typed(series: polars.Series) -> list[Any]:
    """Return a column of text as numbers if all of it is; what has a leading zero or sign stays text."""
    import polars

    given = series.set(series.is_in(["NA", "None"]), None)
    if given.null_count() == len(given) or given.str.contains(r"^(?:[+]|-?0\d)").any():
        return series.to_list()
    for kind in (polars.Int64, polars.Float64):
        numbers = given.cast(kind, strict=False)
        if numbers.null_count() == given.null_count():
            return numbers.to_list()
    return series.to_list()


def _read_jsonl(path: str) -> polars.DataFrame:
    import polars

    with open(path, "rb") as file:
        content = _utf8(file.read())
    return polars.read_ndjson(io.BytesIO(content), infer_schema_length=None)


def _values(series: polars.Series) -> list[Any]:
    import polars

    kind = series.dtype
    if isinstance(kind, polars.Struct):
        return _from_struct(series)
    if isinstance(kind, polars.List | polars.Array) and kind.inner != polars.String:
        import numpy as np

        return [None if value is None else np.asarray(value) for value in series.to_list()]
    if kind.is_temporal() or kind in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    return [None if value == "" else value for value in series.to_list()]


def _from_struct(series: polars.Series) -> list[Any]:
    """Return what a nested value holds: an image as {"bytes", "path"} is its bytes, else its path."""
    values: Sequence[dict[str, Any] | None] = series.to_list()
    return [value and (value.get("bytes") or value.get("path")) for value in values]
