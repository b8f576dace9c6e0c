"""From what a table calls its pictures to files: paths beside the table, or names of pictures found below it."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engram.core.errors import DataError
from engram.data.packed import distinct
from engram.data.source.listing import PICTURES, TEXTS, Listing, is_picture

_SAMPLE = 50
LOOKED_AT = 50_000
"""Values of a packed column by which it is told whether they name files."""

_PLAIN = "id image_id img_id photo_id picture_id file_id image images img photo picture file files name"
_PATHS = "filename file_name filenames path paths filepath file_path image_path image_name imagename"
NAMES = frozenset([*_PLAIN.split(), *_PATHS.split()])
"""Columns whose values may be names of pictures without an extension."""

File = tuple[str, int, int]


@dataclass
class Located:
    """Files of one column: path as the source names it, or None where there is no such picture; and its stamps."""

    paths: list[str | None]
    stamps: list[File]
    reason: str


def locate(name: str, values: Sequence[str | None], base: str, below: Callable[[], Listing]) -> Located | None:
    """Find the pictures that a column names, or return None where it names none.

    base: the folder that relative paths start from. below: lists that folder, called only when it is needed.
    DataError where a name without folders stands for several pictures.
    """
    present = [value for value in distinct(values, most=LOOKED_AT) if value]
    sample = present[:: max(1, len(present) // _SAMPLE)][:_SAMPLE]
    if not sample:
        return None
    looks = sum(is_picture(value) for value in sample) >= len(sample) / 2
    texts = sum(TEXTS.holds(value) for value in sample) >= len(sample) / 2
    kind = TEXTS if texts else PICTURES
    if (looks or texts or any(os.sep in value for value in sample)) and any(_stamp(base, value) for value in sample):
        return _all(
            values,
            lambda value: _stamp(base, value),
            f"The column {name} gives the paths of the {kind.many}.",
        )
    # A label such as "7" may be the name of a picture too: without an extension, names must tell rows apart.
    as_names = name.lower() in NAMES and len(present) >= 0.9 * min(len(values), LOOKED_AT)
    if not looks and not as_names:
        return None
    found = _Names(below(), with_extension=looks)
    if not any(found.find(value) for value in sample):
        return None
    return _all(values, found.find, f"The column {name} gives the names of pictures found below {base or '.'}.")


def looks_like_paths(values: Sequence[str | None]) -> bool:
    """Tell whether most values are called like pictures or text files."""
    sample = list(itertools.islice(filter(None, values), _SAMPLE))
    return bool(sample) and sum(is_picture(value) or TEXTS.holds(value) for value in sample) > len(sample) / 2


def _all(values: Sequence[str | None], find: Callable[[str], tuple[str, File] | None], reason: str) -> Located:
    hits = [find(value) if value else None for value in values]
    return Located([hit[0] if hit else None for hit in hits], [hit[1] for hit in hits if hit], reason)


def _stamp(base: str, value: str) -> tuple[str, File] | None:
    path = os.path.join(base, value)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (path, (value, status.st_size, status.st_mtime_ns)) if stat.S_ISREG(status.st_mode) else None


class _Names:
    """The pictures below a folder by the end of their path, with or without extension."""

    def __init__(self, found: Listing, *, with_extension: bool) -> None:
        self.root = found.root
        self.with_extension = with_extension
        self.files: dict[str, list[File]] = {}
        for file in found.files():
            self.files.setdefault(self._key(file[0]), []).append(file)

    def _key(self, path: str) -> str:
        name = path.rpartition("/")[2]
        return name if self.with_extension else name.rpartition(".")[0]

    def find(self, value: str) -> tuple[str, File] | None:
        """Return path and stamps of the picture that a value names, or None."""
        value = value.replace("\\", "/").strip("/")
        name = value.rpartition("/")[2]
        files = self.files.get(name, [])
        if len(files) > 1:
            ends = [file for file in files if f"/{self._whole(file[0])}".endswith(f"/{value}")]
            files = ends or files
        if len(files) > 1:
            raise DataError(
                f"expected each name to stand for one picture below {self.root}; {value!r} is the name of "
                f"{len(files)}, such as {files[0][0]} and {files[1][0]}. Write paths relative to the table's folder."
            )
        return (os.path.join(self.root, files[0][0]), files[0]) if files else None

    def _whole(self, path: str) -> str:
        return path if self.with_extension else path.rpartition(".")[0]
