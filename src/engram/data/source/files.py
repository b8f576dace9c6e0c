"""Pictures named one by one: a file, a list of paths, a glob pattern. They have no labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from engram.core.errors import DataError
from engram.data.source.fingerprint import digest, of_files
from engram.data.source.listing import listing
from engram.data.table import Column, Table


def read_files(paths: Sequence[str | os.PathLike[str]], *, origin: str) -> Table:
    """Return a table with the column "image" in the order of `paths`; folders stand for the pictures below them."""
    column = picture_files([file for path in paths for file in _expanded(os.fspath(path))])
    if not len(column):
        raise DataError(f"expected pictures; {origin} names none. Give at least one file.")
    return Table({"image": column}, origin, digest("files", column.fingerprint))


def picture_files(paths: Sequence[str | os.PathLike[str]]) -> Column:
    """Return the column "image" over some files.

    DataError names a path that is no file. Whether it can be read as a picture shows when it is stored.
    """
    found = [_stamp(os.fspath(path)) for path in paths]
    return Column("image", [path for path, _, _ in found], "path", of_files(found))


def _expanded(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for relative, _, _ in listing(path).files():
        yield os.path.join(path, relative)


def _stamp(path: str) -> tuple[str, int, int]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        raise DataError(f"expected a picture; there is no file {path}. Check the name.") from None
    return path, status.st_size, status.st_mtime_ns
