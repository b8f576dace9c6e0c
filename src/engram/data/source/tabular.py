"""A table in a file: CSV, TSV, JSON lines or Parquet, with a column of texts, of paths or of pictures, and labels."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core.errors import DataError
from engram.data.packed import Packed
from engram.data.source import encodings
from engram.data.source.columns import to_table
from engram.data.source.encodings import Encoding
from engram.data.source.fingerprint import digest
from engram.data.source.listing import TEXTS, is_picture
from engram.data.source.records import flattened, read_json
from engram.data.table import Table

if TYPE_CHECKING:
    import polars

_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")

SENTENCE = 8
"""Words that no name of a column has."""

NAME = r"[^\W\d]\w*(?:[ .-]\w+)?"
"""What columns are called as a rule: a word or two."""

LOOKED_AT = 10_000
"""Rows that are compared with the first line."""

MISSING = ("", "nan", "NaN", "null", "NULL", "N/A", "#N/A")
"""What stands for a missing value in CSV. "NA" and "None" are missing among numbers only: they may be classes."""


def read_tabular(path: str) -> Table:
    """Read a table; relative paths in it start from its own folder. DataError says why it cannot be read."""
    base = str(Path(path).parent)
    table = to_table(read_columns(path), base=base, origin=path, content=file_fingerprint(path))
    table.findings += encodings.findings([(Path(path).name, _encoding(path))])
    return table


def read_columns(path: str) -> dict[str, Sequence[Any]]:
    """Read a table file into columns of plain values, packed where they are numbers or texts, missing ones as None."""
    import polars

    extension = Path(path).suffix.lower()
    try:
        if extension in _JSON:
            return read_json(path)
        return from_frame(polars.read_parquet(path)) if extension in _PARQUET else _from_csv(path)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"expected a {extension[1:]} table; {path} cannot be read as one ({reason}). Mend it."
        ) from None


def from_frame(frame: polars.DataFrame) -> dict[str, Sequence[Any]]:
    """Return the columns of a polars frame as plain values; rows of arrays as numpy arrays."""
    return flattened({name: _values(frame[name]) for name in frame.columns})


def _encoding(path: str) -> Encoding:
    """How the text of a table is encoded; Parquet holds none."""
    return Encoding() if path.lower().endswith(_PARQUET) else encodings.of_file(path)


def file_fingerprint(path: str) -> str:
    """Return the fingerprint of a file: its content, or size and time where it is larger than 256 MiB."""
    status = Path(path).stat()
    if status.st_size > 2**28:
        return digest("stamp", f"{status.st_size} {status.st_mtime_ns}")
    with open(path, "rb") as file:
        return digest("content", file.read())


def _from_csv(path: str) -> dict[str, Sequence[Any]]:
    """Read text with separators. A first line that is no header is a row."""
    import polars

    with open(path, "rb") as file:
        content = file.read()
    encoding = encodings.of_content(content, name=path)
    content = content if encoding == Encoding() else encoding.decode(content[encoding.mark :]).encode()
    separator = "\t" if path.lower().endswith((".tsv", ".txt")) else _separator(content)
    quoted = _quotes(content, separator.encode())

    def read(*, header: bool) -> polars.DataFrame:
        # Everything is read as text: a label 007 is no number, and no row decides the kind of those after it.
        return polars.read_csv(
            io.BytesIO(content), separator=separator, infer_schema=False, has_header=header, null_values=list(MISSING),
            quote_char='"' if quoted else None,
        )  # fmt: skip

    frame = read(header=True)
    if _is_row(frame):
        frame = read(header=False)
        frame.columns = [f"column_{number + 1}" for number in range(frame.width)]
    return {name.strip(): Packed(_typed(frame.drop_in_place(name))) for name in frame.columns}


def _is_row(frame: polars.DataFrame) -> bool:
    """Tell whether what was taken for the header is a row: it names files, holds a sentence, or a value that recurs
    below it and nothing that could only be a name.
    """
    if any(is_picture(name) or TEXTS.holds(name) or len(name.split()) >= SENTENCE for name in frame.columns):
        return True
    if all(name.isdecimal() for name in frame.columns) and {int(b) - int(a) for a, b in pairwise(frame.columns)} <= {1}:
        return False  # columns that are only numbered
    below = frame.head(LOOKED_AT)
    found = {name: int((below[name] == name).sum()) for name in frame.columns}
    named = any(re.fullmatch(NAME, name.strip()) for name, number in found.items() if not number)
    return not named and any(number > 1 for number in found.values())


def _quotes(content: bytes, separator: bytes) -> bool:
    """Tell whether quotes enclose fields, or are plain signs: where none opens a field, and between tabs, where they
    seldom enclose anything, where those that open and those that close do not fit.
    """
    sign = re.escape(separator)
    opening = sum(1 for _ in re.finditer(rb'(?:^|%b)"' % sign, content, re.M)) if b'"' in content else 0
    if separator != b"\t" or not opening:
        return opening > 0
    return opening == sum(1 for _ in re.finditer(rb'"(?=%b|\r?$)' % sign, content, re.M))


def _separator(content: bytes) -> str:
    first = content.split(b"\n", 1)[0].decode("utf-8")
    return max(",;\t|", key=first.count)


def _typed(series: polars.Series) -> polars.Series:
    """Return a column of text as numbers if all of it is; what has a leading zero or sign stays text."""
    import polars

    given = series.set(series.is_in(["NA", "None"]), None)
    if given.null_count() == len(given) or given.str.contains(r"^(?:[+]|-?0\d)").any():
        return series
    for kind in (polars.Int64, polars.Float64):
        numbers = given.cast(kind, strict=False)
        if numbers.null_count() == given.null_count():
            return numbers
    return series


def _values(series: polars.Series) -> Sequence[Any]:
    """Plain values, packed where they are numbers or texts; dates and categories as text."""
    import polars

    if series.dtype.is_temporal() or series.dtype in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    if series.dtype == polars.String:
        return Packed(series.set(series == "", None))
    return Packed(series) if series.dtype.is_numeric() or series.dtype == polars.Boolean else series.to_list()
