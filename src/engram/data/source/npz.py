"""npz files: arrays by name, such as train_images and train_labels, x_train and y_train, or plain x and y."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.data.source.arrays import Part, from_parts
from engram.data.source.splits import split_named
from engram.data.table import Table

IMAGES = frozenset({"x", "image", "images", "img", "imgs", "picture", "pictures", "data", "features", "inputs"})
LABELS = frozenset({"y", "label", "labels", "target", "targets", "class", "classes"})

_DAMAGE = (OSError, EOFError, ValueError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise on damaged files; RuntimeError for encryption, MemoryError for headers that lie."""


def read_npz(path: str) -> Table:
    """Read an npz file as a table, given splits by the arrays' names. Nothing in it is executed.

    DataError where it is damaged, holds Python objects, or no array is called as pictures are.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if _role(name)}
            names = list(file.files)
    except _DAMAGE as error:
        raise DataError(
            f"expected an npz file of plain arrays; {path} cannot be read as one ({error}). "
            "Write it again with numpy.savez, without Python objects."
        ) from None
    parts = parts_by_name(arrays)
    if not parts:
        raise DataError(
            f"expected arrays called images and labels, x and y, or train_images and train_labels in {path}; "
            f"got {', '.join(names) or 'none'}. Rename them."
        )
    return from_parts(parts, origin=path, form="arrays")


def parts_by_name(arrays: Mapping[str, Any]) -> list[Part]:
    """Pair arrays by their names; arrays whose name says neither pictures nor labels are left out."""
    images: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    for name, array in arrays.items():
        role = _role(name)
        if role:
            (images if role[0] == "images" else labels)[role[1]] = array
    return [Part(split, array, labels.get(split), name=split) for split, array in images.items()]


def _role(name: str) -> tuple[str, str] | None:
    """Return what a name means: ("images" or "labels", split or ""), or None."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    splits = [split for word in words if (split := split_named(word))]
    rest = {word for word in words if not split_named(word)}
    if len(rest) != 1 or len(splits) > 1:
        return None
    split = splits[0] if splits else ""
    return ("images", split) if rest <= IMAGES else ("labels", split) if rest <= LABELS else None
