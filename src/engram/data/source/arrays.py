"""Pictures or texts and labels, by split: what IDX files, npz files and Python objects come down to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.data.source.columns import kind_of, separated
from engram.data.source.fingerprint import digest, of_values
from engram.data.source.splits import ORDER
from engram.data.table import Column, Table


@dataclass
class Part:
    """The examples (first axis) and labels of one split; split "" where none is given."""

    split: str
    images: Any
    labels: Any = None
    name: str = ""
    class_names: Sequence[str] | None = None


def from_parts(parts: list[Part], *, origin: str, form: str) -> Table:
    """Put the parts one after another as a table with the columns "image" or "text" and, where known, "label".

    DataError where examples and labels differ in number, or are not shaped as such.
    """
    for part in parts:
        _check(part)
    parts = sorted(parts, key=lambda part: ORDER.index(part.split))
    images = _joined([part.images for part in parts])
    kind = kind_of(images)
    if kind == "path":
        columns = _of_files([os.fspath(path) for path in images])
    else:
        name = "text" if kind == "text" else "image"
        columns = {name: Column(name, images, kind, of_values(images))}
    if any(part.labels is not None for part in parts):
        labels = [label for part in parts for label in _labels(part)]
        if any(isinstance(label, list) for label in labels):
            # Zeros and ones of one split may happen to be one label a row: they are several all the same.
            labels = [label if label is None or isinstance(label, list) else [str(label)] for label in labels]
        columns["label"] = _label_column(labels)
    splits = [part.split for part in parts]
    notes = [_note(parts, form)]
    split = np.repeat(np.array(splits, "<U5"), [len(part.images) for part in parts]) if any(splits) else None
    return Table(columns, origin, digest("arrays", *(c.fingerprint for c in columns.values())), split, None, notes)


def _of_files(paths: list[str]) -> dict[str, Column]:
    """Return the column of texts or pictures in some files."""
    from engram.data.source import documents
    from engram.data.source.files import picture_files
    from engram.data.source.listing import TEXTS

    if all(map(TEXTS.holds, paths)):
        return {"text": documents.column("text", documents.whole("", documents.opened(paths)))}
    return {"image": picture_files(paths)}


def _check(part: Part) -> None:
    if part.labels is None or len(part.labels) == len(part.images):
        return
    raise DataError(
        f"expected as many labels as {_what(part)}{f' in {part.name}' if part.name else ''}; got {len(part.images)} "
        f"{_what(part)} and {len(part.labels)} labels. They must go together one by one."
    )


def _what(part: Part) -> str:
    return "texts" if kind_of(part.images) == "text" else "pictures"


def _joined(images: list[Any]) -> Any:
    if len(images) == 1:
        return images[0]
    arrays = [array for array in images if isinstance(array, np.ndarray)]
    if len(arrays) == len(images) and len({(array.shape[1:], array.dtype) for array in arrays}) == 1:
        return np.concatenate(arrays)
    return [image for part in images for image in part]


def _labels(part: Part) -> list[Any]:
    """Return labels as plain Python values: one per picture, or a list of names where there are several."""
    if part.labels is None:
        return [None] * len(part.images)
    labels = part.labels
    if isinstance(labels, np.ndarray):
        labels = labels.reshape(len(labels), -1) if labels.ndim > 1 else labels
        if labels.ndim == 2 and labels.shape[1] > 1:
            return _from_indicators(labels, part)
        labels = labels.ravel().tolist()
    values = [label.item() if hasattr(label, "item") else label for label in labels]
    # Whole numbers stored as floats are class numbers: 3.0 is called "3" as everyone calls it.
    if all(isinstance(value, float) and value.is_integer() for value in values):
        values = [int(value) for value in values]
    return [_class_name(value, part.class_names) for value in values]


def _from_indicators(labels: np.ndarray, part: Part) -> list[Any]:
    """Read zeros and ones of shape (N, K): one label where each row has exactly one 1, else several."""
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"expected labels of shape (N,) or zeros and ones of shape (N, classes); got {labels.shape} with other "
            "values. Give one label per picture."
        )
    if (labels.sum(axis=1) == 1).all():
        return [_class_name(int(index), part.class_names) for index in labels.argmax(axis=1)]
    return [[str(_class_name(int(i), part.class_names)) for i in np.flatnonzero(row)] for row in labels]


def _class_name(value: Any, names: Sequence[str] | None) -> Any:
    known = names is not None and isinstance(value, int) and 0 <= value < len(names)
    return names[value] if known and names is not None else value


def _label_column(labels: list[Any]) -> Column:
    kind = kind_of(labels)
    if kind == "text" and not all(label is None or isinstance(label, str | int | float) for label in labels):
        kind = type(next(label for label in labels if not isinstance(label, str | int | float))).__name__
    if kind == "text":
        labels = [label if label is None else str(label) for label in labels]
    if kind == "text" and (names := separated("label", labels)):
        return Column("label", names, "names", of_values(labels))
    if kind not in ("text", "number", "names"):
        raise DataError(f"expected labels that are text, numbers or lists of text; got {kind}. Convert them.")
    return Column("label", labels, kind, of_values(labels))


def _note(parts: list[Part], form: str) -> str:
    what = f"{_what(parts[0])}{'' if all(part.labels is None for part in parts) else ' and labels'}"
    if not any(part.split for part in parts):
        return f"The {form} hold {sum(len(part.images) for part in parts)} {what}; no split is given."
    counts = [f"{len(part.images)} for {part.split or 'no split'}" for part in parts]
    return f"The {form} hold {what}: {', '.join(counts)}."
