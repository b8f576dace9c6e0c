"""Records: JSON and JSON lines, and what they and Parquet nest, as columns of plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.data.packed import Packed
from engram.data.source import encodings
from engram.data.source.chat_exports import unfolded

BARE: dict[type, str] = {dict: "", list: "turns", str: "text"}
"""What a line without names is: a conversation, a text."""


def read_json(path: str) -> dict[str, Sequence[Any]]:
    """Read JSON lines, or one JSON value that holds the rows, as columns. DataError names the line that is none."""
    with open(path, "rb") as file:
        content = file.read()
    text = encodings.of_content(content, name=path).decode(content).lstrip("\ufeff")
    rows = list(_lines(text, path)) if not path.lower().endswith(".json") else _rows(text, path)
    if not rows:
        raise DataError(f"expected rows of JSON; {path} holds none. Name another file.")
    return _columns(rows, path)


def _lines(text: str, path: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _value(line, f"line {number} of {path}")


def _rows(text: str, path: str) -> list[Any]:
    """The rows of a whole JSON file: a list, or the only list that an object holds; else a line may be one each."""
    if "\n{" in text.strip():
        try:
            return list(_lines(text, path))
        except DataError:
            pass  # one value over several lines, which is read whole below and refused there if it is none
    value = _value(text, path)
    lists = [inner for inner in value.values() if isinstance(inner, list)] if isinstance(value, dict) else [value]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise DataError(
            f"expected a list of rows in {path}, or an object with one list; got {type(value).__name__}. "
            "Write one JSON object a line, as .jsonl."
        )
    return lists[0]


def _value(text: str, said: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected JSON; {said} is none ({error}). Mend it.") from None


def _columns(rows: Sequence[Any], path: str) -> dict[str, Sequence[Any]]:
    kinds = {type(row) for row in rows}
    if len(kinds) > 1 or not kinds <= set(BARE):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"expected rows of one kind in {path} (objects, lists of turns, or texts); got {names}.")
    called = BARE[kinds.pop()]
    if called:
        return {called: list(rows)}
    if (talks := unfolded(rows)) is not None:
        return {"messages": talks}
    fields: dict[str, None] = dict.fromkeys(name for row in rows for name in row)
    return flattened({name: [row.get(name) for row in rows] for name in fields})


def flattened(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return columns of plain values: an object of texts ({"en": ..., "de": ...}) is a column each.

    An image as {"bytes", "path"} is its bytes, else its path. Lists of numbers become arrays; other lists stay.
    """
    found: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        if isinstance(values, Packed):
            found[name] = values
            continue
        present = [value for value in values if value is not None]
        if not present or not all(isinstance(value, Mapping) for value in present):
            found[name] = [_plain(value) for value in values]
        elif any(value.keys() & {"bytes", "path"} for value in present):
            found[name] = [value and (value.get("bytes") or value.get("path")) for value in values]
        else:
            for key in dict.fromkeys(key for value in present for key in value):
                inner = key if key not in columns and key not in found else f"{name}.{key}"
                found[inner] = [None if value is None else _plain(value.get(key)) for value in values]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in _flat(value)):
        try:
            return np.asarray(value)
        except ValueError:  # lists of unequal lengths
            return value
    return None if value == "" else value


def _flat(value: Any) -> Iterator[Any]:
    """The items of nested lists."""
    for item in value:
        yield from _flat(item) if isinstance(item, list) else [item]
