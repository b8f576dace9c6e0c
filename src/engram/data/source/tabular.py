"""A table in a file: CSV, TSV, JSON lines, Parquet or a spreadsheet, of texts, numbers, paths or pictures."""

from __future__ import annotations

import io
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core import machine
from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.packed import Packed
from engram.data.source import encodings
from engram.data.source.cells import Typed, typed
from engram.data.source.columns import to_table
from engram.data.source.delimited import Delimited, read_delimited
from engram.data.source.encodings import Encoding
from engram.data.source.fingerprint import digest
from engram.data.source.listing import Listing
from engram.data.source.records import flattened, read_json
from engram.data.table import Table

if TYPE_CHECKING:
    import polars

_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
_TABS = (".tsv", ".txt")


@dataclass
class Sheet:
    """The columns of a table file, packed where they are numbers or texts; what was done to read them, and found."""

    columns: dict[str, Sequence[Any]]
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_tabular(path: str, *, origin: str = "", found: Listing | None = None, required: bool = True) -> Table:
    """Read a table; relative paths in it start from its own folder. DataError says why it cannot be read.

    origin, found, required: see `to_table`.
    """
    sheet = read_sheet(path)
    table = to_table(
        sheet.columns, base=str(Path(path).parent), origin=origin or path, content=file_fingerprint(path), found=found,
        required=required,
    )  # fmt: skip
    table.notes += sheet.notes
    table.findings += sheet.findings
    return table


def read_sheet(path: str) -> Sheet:
    """Read a table file into columns of plain values, missing ones as None."""
    import polars

    extension = Path(path).suffix.lower()
    try:
        if extension in _JSON:
            return Sheet(read_json(path), findings=_encoded(path, encodings.of_file(path)))
        if extension in _PARQUET:
            return Sheet(from_frame(polars.read_parquet(path)))
        return _spreadsheet(path) if extension in SPREADSHEETS else _text(path)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"expected a {extension[1:]} table; {path} cannot be read as one ({reason}). Mend it."
        ) from None


def from_frame(frame: polars.DataFrame) -> dict[str, Sequence[Any]]:
    """Return the columns of a polars frame as plain values; rows of arrays as numpy arrays."""
    return flattened({name: values_of(frame[name]) for name in frame.columns})


def file_fingerprint(path: str) -> str:
    """Return the fingerprint of a file: its content, or size and time where it is larger than 256 MiB."""
    status = Path(path).stat()
    if status.st_size > 2**28:
        return digest("stamp", f"{status.st_size} {status.st_mtime_ns}")
    with open(path, "rb") as file:
        return digest("content", file.read())


def _text(path: str) -> Sheet:
    """Read text with separators. A large file is mapped, not held."""
    if not Path(path).stat().st_size:
        raise DataError(f"expected a table; {path} is empty. Name another file.")
    with open(path, "rb") as file:
        content: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed with its last user
    encoding = encodings.of_content(content, name=path)
    plain = encoding == Encoding()
    if not plain:
        content = encoding.decode(content[encoding.mark :]).encode()
    tabs = "\t" if path.lower().endswith(_TABS) else None
    sheet = typed_columns(read_delimited(content, path=path, separator=tabs, plain=plain))
    sheet.findings = [*sheet.findings, *_encoded(path, encoding)]
    return sheet


def typed_columns(found: Delimited) -> Sheet:
    """Columns of texts as what they are, one after the other: each text column goes when its numbers are there."""
    sheet, names = Sheet({}, list(found.notes), list(found.findings)), found.frame.columns
    texts = {name: found.frame.drop_in_place(name) for name in names}

    def made(name: str) -> Typed:
        return typed(texts.pop(name), name=name, decimal_comma=found.separator == ";")

    for name, column in zip(names, machine.each(made, names), strict=True):
        sheet.columns[name] = Packed(column.series)
        sheet.notes += [column.note] if column.note else []
        sheet.findings += [column.finding] if column.finding else []
    return sheet


def _encoded(path: str, encoding: Encoding) -> list[Finding]:
    return encodings.findings([(Path(path).name, encoding)])


def _spreadsheet(path: str) -> Sheet:
    """Read the first sheet of a spreadsheet, where a reader is installed, by the rules for text with separators."""
    try:
        import fastexcel
    except ImportError:
        raise DataError(
            f"expected a table that can be read; {path} is a spreadsheet, for which no reader is installed. Save it as "
            "CSV from the program that wrote it, or install one: pip install 'engram[spreadsheets]'"
        ) from None
    try:
        book = fastexcel.read_excel(path)
        frame = book.load_sheet(0, header_row=None, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise OSError(str(error)) from None
    text = io.BytesIO()
    frame.write_csv(text, include_header=False)
    sheet = typed_columns(read_delimited(text.getvalue(), path=path, separator=",", plain=False))
    first, *others = book.sheet_names
    left = f"; not read: {', '.join(others)} (save one as CSV to use it)" if others else ""
    sheet.notes.insert(0, f"Of the spreadsheet the first sheet is read, {first}{left}.")
    return sheet


def values_of(series: polars.Series) -> Sequence[Any]:
    """Plain values, packed where they are numbers or texts; dates and categories as text."""
    import polars

    if series.dtype.is_temporal() or series.dtype in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    if series.dtype == polars.String:
        return Packed(series.set(series == "", None))
    return Packed(series) if series.dtype.is_numeric() or series.dtype == polars.Boolean else series.to_list()
