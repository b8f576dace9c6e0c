"""Rows of a table to answer for: from a file, JSON on the command line, lines on stdin, or Python."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engram.core import events
from engram.core.errors import DataError
from engram.data import infer, source
from engram.data.source.delimited import read_delimited
from engram.data.source.tabular import typed_columns

STDIN = "the lines on stdin"


def given_rows(
    items: Iterable[Any], feature: Any, *, stdin: Iterable[str] | None, targets: Iterable[str] = ()
) -> Iterator[Any]:
    """Yield the rows that items hold: mappings, data frames, tables, JSON, or "-" for what stands on stdin.

    feature: the run's, which knows the columns. targets: columns that may stand there as well. DataError for a table
    that lacks a column; what is ignored is said.
    """
    known = {*feature.columns, *feature.left_out, *targets}
    for item in items:
        if isinstance(item, Mapping) or (hasattr(item, "to_dict") and not hasattr(item, "columns")):
            yield item
        elif isinstance(item, str | os.PathLike):
            text = os.fspath(item)
            assert isinstance(text, str), "paths are text"
            yield from _of_text(text, feature, known, stdin)
        else:
            yield from _of_table(source.read(item, target=()).columns, feature, known, "the data")


def _of_text(text: str, feature: Any, known: set[str], stdin: Iterable[str] | None) -> Iterator[Any]:
    if text == "-" and stdin is not None:
        whole = "".join(line if line.endswith("\n") else f"{line}\n" for line in stdin)
        if whole.lstrip()[:1] in ("{", "["):
            yield from _of_json(whole, known)
        elif whole.strip():
            sheet = typed_columns(read_delimited(whole.encode(), path=STDIN, plain=False))
            yield from _of_table(infer.columns_of(sheet.columns), feature, known, STDIN)
    elif text.lstrip()[:1] in ("{", "["):
        yield from _of_json(text, known)
    elif os.path.exists(text):  # noqa: PTH110  (which takes no text for too long a path)
        yield from _of_table(source.read(text, target=()).columns, feature, known, text)
    else:
        raise DataError(
            f"expected rows to answer for: a table, or JSON such as {json.dumps(feature.entry().example)}; there is no "
            f"file {text}"
        )


def _of_json(text: str, known: set[str]) -> Iterator[Mapping[str, Any]]:
    """One object, a list of them, or one a line."""
    try:
        found = json.loads(text)
    except ValueError:
        found = [_object(line) for line in text.splitlines() if line.strip()]
    rows = found if isinstance(found, list) else [found]
    for row in rows:
        if not isinstance(row, Mapping):
            raise DataError(f"expected an object with a value for each column; got {json.dumps(row)[:80]}")
    _tell_ignored({name for row in rows for name in row}, known)
    yield from rows


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(f"expected a JSON object; got {line.strip()[:80]!r} ({error})") from None


def _of_table(columns: Mapping[str, Any], feature: Any, known: set[str], said: str) -> Iterator[Mapping[str, Any]]:
    feature.require(columns)
    if absent := [name for name in feature.columns if name not in columns]:
        events.note(f"Of {said} these columns are taken as missing in every row: {', '.join(absent)}.")
    _tell_ignored(columns, known)
    yield from infer.rows_of({name: columns[name] for name in feature.columns if name in columns}).values


def _tell_ignored(names: Iterable[str], known: set[str]) -> None:
    if ignored := sorted(name for name in names if name not in known):
        events.note(f"Columns that the run does not know are ignored: {', '.join(ignored)}.")
