"""Data held by Python: arrays, tensors, pictures, texts, data sets of pairs, splits, columns, data frames.

No library is imported for it: tensors, frames and data sets are known by what they can do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.source.arrays import Part, from_parts
from engram.data.source.columns import kind_of, to_table
from engram.data.source.header import different
from engram.data.source.located import looks_like_paths
from engram.data.source.npz import parts_by_name
from engram.data.source.splits import ORDER, split_named
from engram.data.table import Table
from engram.features._fields.field import is_nothing

ORIGIN = "data in memory"


def read_memory(data: Any) -> Table:
    """Turn Python objects into a table; see `engram.data.source.read` for the forms. DataError names what came."""
    table = _table(data)
    sets = data.values() if isinstance(data, Mapping) else [data]
    if any(_changes(one) for one in sets):
        table.findings.append(
            Finding(
                "warning",
                "changing_examples",
                "examples differ each time they are asked for; each was taken once, as it happened to be",
                fix="Leave random changes out: training makes its own. To keep yours, bring a step of your own",
            )
        )
    return table


def _changes(data: Any) -> bool:
    """Tell whether a data set gives other examples when asked again, as one with random changes does."""
    known = (
        isinstance(data, list | tuple | str | np.ndarray | Mapping)
        or hasattr(data, "detach")
        or hasattr(data, "columns")
    )
    if known or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return False
    rows = range(min(len(data), 5))
    return not all(_same(data[row], data[row]) for row in rows)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list):
        return all(map(_same, one, other))
    if isinstance(one, Mapping):
        return all(_same(one[name], other[name]) for name in one)
    return bool(np.array_equal(np.asarray(_plain(one)), np.asarray(_plain(other))))


def _table(data: Any) -> Table:
    if isinstance(data, Mapping) and not _is_split(data):
        return _from_columns(_columns(data) or {})
    if isinstance(data, Mapping):
        return _from_splits(data)
    if (columns := _columns(data)) is not None:
        return _from_columns(columns)
    if isinstance(data, tuple) and len(data) == 2 and all(_is_pair(half) for half in data):
        # Keras and others give ((x_train, y_train), (x_test, y_test)).
        return from_parts([_part("train", data[0]), _part("test", data[1])], origin=ORIGIN, form="arrays")
    return from_parts([_part("", data)], origin=ORIGIN, form="objects")


def _is_split(data: Mapping[Any, Any]) -> bool:
    return bool(data) and all(split_named(str(name)) for name in data)


def _from_splits(data: Mapping[Any, Any]) -> Table:
    """Read data by split: columns, frames or records each, or pictures and labels."""
    splits = {name: split_named(str(name)) or "" for name in data}
    columns = {name: _columns(value) for name, value in data.items()}
    if None in columns.values():
        return from_parts([_part(splits[name], value) for name, value in data.items()], origin=ORIGIN, form="objects")
    held = sorted(((splits[name], own or {}) for name, own in columns.items()), key=lambda part: ORDER.index(part[0]))
    numbers = [len(next(iter(own.values()), ())) for _, own in held]
    names: dict[str, None] = dict.fromkeys(name for _, own in held for name in own)
    rows = list(zip(held, numbers, strict=True))
    values = {name: [v for (_, own), n in rows for v in own.get(name, [None] * n)] for name in names}
    split = np.repeat(np.array([split for split, _ in held], "<U5"), numbers)
    counts = ", ".join(f"{number} for {split}" for (split, _), number in rows)
    return replace(_from_columns(values), split=split, notes=[f"The objects hold rows: {counts}."])


def _columns(data: Any) -> dict[str, Sequence[Any]] | None:
    """Return the columns of a dict of them, a data frame, or examples that are dicts without a picture; else None."""
    if isinstance(data, Mapping):
        return {str(name): _plain(values) for name, values in data.items()}
    if hasattr(data, "columns") and hasattr(data, "__getitem__") and not hasattr(data, "detach"):
        return _frame_columns(data)
    known = isinstance(data, list | tuple) or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))
    if not known or isinstance(data, str | bytes | np.ndarray) or not len(data) or not isinstance(data[0], Mapping):
        return None
    items = [data[row] for row in range(len(data))]
    names: dict[str, None] = dict.fromkeys(str(name) for item in items for name in item)
    return None if parts_by_name(names) else {name: [_plain(item.get(name)) for item in items] for name in names}


def _frame_columns(frame: Any) -> dict[str, Sequence[Any]]:
    """The columns of a data frame; an index of times is one of them."""
    names, _ = different([str(name) for name in frame.columns])
    if not hasattr(frame, "iloc"):
        return {name: _of_frame(frame[own]) for name, own in zip(names, frame.columns, strict=True)}
    columns = {name: _of_frame(frame.iloc[:, place]) for place, name in enumerate(names)}
    index = frame.index
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        return columns
    return {str(index.name or "time"): [None if is_nothing(time) else str(time) for time in index], **columns}


def _of_frame(column: Any) -> Sequence[Any]:
    """The values of a column of a data frame: plain numbers as one array, spans of time as seconds, categories as text,
    anything else as Python has it."""
    if type(column).__module__.startswith("polars"):
        from engram.data.source.tabular import values_of

        return values_of(column)
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return cast(Sequence[Any], np.asarray(column))
    if getattr(dtype, "kind", "") == "m":
        return cast(Sequence[Any], np.asarray(column.dt.total_seconds()))
    values = [None if is_nothing(value) else value for value in column.to_list()]
    return [None if v is None else str(v) for v in values] if str(dtype) == "category" else values


def _from_columns(columns: Mapping[str, Sequence[Any]]) -> Table:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"expected columns of one length; got {lengths}. Give every row a value in each.")
    values = {name: _missing_as_none(column) for name, column in columns.items()}
    return to_table(values, base="", origin=ORIGIN, content="")


def _missing_as_none(values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(values, np.ndarray):
        return values if values.ndim > 1 or values.dtype.kind in "biuf" else _missing_as_none(values.tolist())
    return [None if is_nothing(value) else value for value in values]


def _part(split: str, data: Any) -> Part:
    """Return the examples and labels of anything that is not already in splits or columns."""
    if _is_pair(data):
        examples, labels = _plain(data[0]), _plain(data[1])
        return Part(split, _examples(examples), labels)
    if _is_picture(data):
        return Part(split, _examples(_one(data)))
    if isinstance(data, np.ndarray) or hasattr(data, "detach"):
        return Part(split, _examples(_plain(data)))
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, str | bytes):
        raise DataError(
            f"expected a path, arrays, pictures, texts, (x, y), a dict, a data frame or a data set with a length; "
            f"got {type(data).__name__}. Turn it into one of these."
        )
    if len(data) == 0:
        raise DataError(f"expected data; got an empty {type(data).__name__}. Give at least one example.")
    return _from_items(split, data)


def _from_items(split: str, data: Any) -> Part:
    """Read a list or a data set: pairs of example and label, or examples alone. Each item is taken once."""
    tensors = getattr(data, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return _part(split, tensors)
    items = [data[row] for row in range(len(data))]
    if all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        names = getattr(data, "classes", None)
        examples, labels = [_plain(x) for x, _ in items], [_plain(y) for _, y in items]
        return Part(split, _examples(examples), labels, class_names=names if isinstance(names, list | tuple) else None)
    if all(isinstance(item, Mapping) for item in items):
        return _from_records(split, items)
    return Part(split, _examples([_plain(item) for item in items]))


def _from_records(split: str, items: list[Mapping[str, Any]]) -> Part:
    """Read examples that are dicts, such as {"image": ..., "label": ...}."""
    columns = {name: [_plain(item.get(name)) for item in items] for name in items[0]}
    parts = parts_by_name(columns)
    if len(parts) != 1:
        raise DataError(
            f"expected examples with an entry called image and perhaps one called label; got {', '.join(columns)}. "
            "Give a dict of columns instead, and name the target."
        )
    return replace(parts[0], split=split, images=_examples(parts[0].images))


def _examples(values: Any) -> Any:
    """Return pictures or texts as they are, after a look that they are some; texts that name files become paths."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "UO" and values.ndim == 1:
        values = values.tolist()
    if isinstance(values, np.ndarray):
        if values.ndim < 3 or values.dtype == object:
            raise DataError(
                f"expected pictures of shape (number, height, width) or with channels; got {values.shape} "
                f"{values.dtype}. Reshape them."
            )
        return values
    kind = kind_of(values)
    if kind == "path" or (kind == "text" and looks_like_paths(values)):
        return [Path(value) for value in values]
    if kind not in ("array", "bytes", "text"):
        raise DataError(f"expected pictures, texts, arrays, bytes or paths; got {type(values[0]).__name__}.")
    return list(values)


def _is_pair(data: Any) -> bool:
    """Tell whether data is (examples, labels), many of both; a list of two is two examples."""
    return isinstance(data, tuple) and len(data) == 2 and all(_is_many(half) for half in data)


def _is_many(value: Any) -> bool:
    if isinstance(value, str | bytes | os.PathLike | Mapping) or hasattr(value, "getexif"):
        return False
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _is_picture(value: Any) -> bool:
    """Tell whether a value is one picture: from Pillow, encoded, (H, W), (H, W, 3 or 4), or a tensor (1 or 3, H, W)."""
    if isinstance(value, bytes | bytearray) or hasattr(value, "getexif"):
        return True
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) == 2:
        return not hasattr(value, "columns")
    return len(shape) == 3 and (shape[0] in (1, 3) if hasattr(value, "detach") else shape[2] in (3, 4))


def _one(value: Any) -> Any:
    plain = _plain(value)
    return plain[None] if isinstance(plain, np.ndarray) else [plain]


def _plain(value: Any) -> Any:
    """Return a tensor as a numpy array (scalars as Python numbers); anything else as it is."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        # numpy has no bfloat16.
        array = (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
        return array if array.ndim else array.item()
    if hasattr(value, "to_numpy") and not isinstance(value, np.ndarray):
        return value.to_list() if hasattr(value, "to_list") else value.to_numpy()
    if isinstance(value, Iterable) and isinstance(value, set | range | map):
        return list(value)
    return value
