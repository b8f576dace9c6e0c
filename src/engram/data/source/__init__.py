"""Source: whatever form the user's data has, it becomes a table of lazy rows. One file per form."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

from engram.core.errors import DataError, nearest
from engram.data.source.rows import Names, arrange
from engram.data.source.splits import split_named
from engram.data.table import Table

if TYPE_CHECKING:
    from engram.data.source.listing import Listing

__all__ = ["holds_many", "read"]

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".xlsx", ".xls", ".xlsm", ".ods")
_WHOLE = (*_TABLES, ".json", ".npz")
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".xz", ".bz2")


def read(
    data: Any, *, target: Names = None, inputs: Names = None, split: str | None = None, group: str | None = None
) -> Table:
    """Turn data of any form into a table.

    data: a path (folder of pictures or texts, text, parallel text, CSV, TSV, JSONL, JSON, Parquet, IDX, npz, one
    picture, a glob pattern), a list of paths, or Python objects: arrays, tensors, pictures, `(x, y)`,
    `{"train": (x, y), "test": (x, y)}`, a dict of columns, a data frame, a `torch.utils.data.Dataset` of pairs.
    target, inputs: columns that must exist; rows without a target are dropped. An empty target (`()`) says that
    none is wanted, as for prediction: unlabelled pictures are then kept.
    split: the column that names each row's split. group: a column, or a regular expression over file names.

    DataError where there is nothing to read; ConfigError where a named column does not exist.
    """
    labelled = target is None or len(target) > 0
    return arrange(_open(data, labelled=labelled), target=target, inputs=inputs, split=split, group=group)


def holds_many(path: str) -> bool:
    """Tell whether a path is a form of data (a folder, a table, a file of arrays) rather than one example."""
    if not os.path.isfile(path):
        return os.path.isdir(path)
    from engram.data.source.idx import is_idx
    from engram.data.source.listing import is_picture

    return path.lower().endswith(_WHOLE) or (not is_picture(path) and is_idx(path))


def _open(data: Any, *, labelled: bool) -> Table:
    if isinstance(data, str | os.PathLike):
        return _open_path(os.fspath(data), labelled=labelled)
    if isinstance(data, list | tuple) and data and all(isinstance(item, str | os.PathLike) for item in data):
        return _open_files([os.fspath(item) for item in data], origin=f"{len(data)} paths")
    from engram.data.source.memory import read_memory

    return read_memory(data)


def _open_path(path: str, *, labelled: bool) -> Table:
    path = path if os.path.lexists(path) else os.path.expanduser(path)
    if os.path.isdir(path):
        return _open_folder(path, labelled=labelled)
    if os.path.isfile(path):
        return _open_file(path)
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    if matches:
        return _open_files(matches, origin=path)
    raise DataError(_not_there(path))


def _open_files(paths: list[str], *, origin: str) -> Table:
    """Open files named one by one: parallel text, a corpus, or pictures."""
    from engram.data.source.files import read_files
    from engram.data.source.listing import MARKED_UP, TEXTS
    from engram.data.source.parallel import read_named_files

    if not all(os.path.isfile(path) for path in paths):
        return read_files(paths, origin=origin)
    if (table := read_named_files(paths)) is not None:
        return table
    if all(TEXTS.holds(path) or MARKED_UP.holds(path) for path in paths):
        from engram.data.source.corpus import read_text_files

        return read_text_files(paths, origin=origin)
    return read_files(paths, origin=origin)


def _open_folder(path: str, *, labelled: bool) -> Table:
    from engram.data.source.folder import read_folder
    from engram.data.source.listing import listing

    found = listing(path)
    beside = _tables_beside(found)
    if beside:
        from engram.data.source.beside import read_beside

        table = read_beside(found, beside)
        if table is not None:
            return table
    if not found.empty:
        return read_folder(found, labelled=labelled)
    others = [folder.relative(name) for folder in found.folders for name in folder.others]
    return _open_arrays(path, others) or _open_tables(path, beside, others) or _open_texts(path, others, labelled)


def _tables_beside(found: Listing) -> list[str]:
    """Return the tables at the top of a folder, else those at the top of its split folders."""
    tables = [[f.relative(name) for name in f.others if name.lower().endswith(_TABLES)] for f in found.folders]
    inner = [
        name
        for folder, names in zip(found.folders, tables, strict=True)
        if len(folder.parts) == 1 and split_named(folder.parts[0])
        for name in names
    ]
    return tables[0] or inner


def _open_arrays(path: str, others: list[str]) -> Table | None:
    """Open the IDX files of a folder."""
    from engram.data.source.idx import is_idx, read_idx_files

    idx = [os.path.join(path, name) for name in others if is_idx(os.path.join(path, name))]
    return read_idx_files(idx, origin=path) if idx else None


def _open_tables(path: str, beside: list[str], others: list[str]) -> Table | None:
    """Open the one table or file of arrays of a folder, or those that are a split each (train.csv, test.csv)."""
    whole = [name for name in others if name.lower().endswith(_WHOLE)]
    whole = [name for name in whole if "/" not in name] or whole
    if len(whole) == 1:
        return _open_file(os.path.join(path, whole[0]))
    if len(beside) < 2:
        return None
    from engram.data.source.beside import read_split_tables
    from engram.data.source.catalogues import interactions_among

    if (name := interactions_among(path, beside)) is not None:
        table = _open_file(os.path.join(path, name))
        table.notes.insert(0, f"Of the tables in {path}, {name} says who took what.")
        return table
    return read_split_tables(path, beside)


def _open_texts(path: str, others: list[str], labelled: bool) -> Table:
    """Open parallel text, classes of text files, or a corpus."""
    from engram.data.source.corpus import read_texts
    from engram.data.source.listing import MARKED_UP, TEXTS, listing
    from engram.data.source.parallel import read_parallel

    if (table := read_parallel(path, others)) is not None:
        return table
    for kind in (TEXTS, MARKED_UP):
        found = listing(path, kind)
        if not found.empty:
            return read_texts(found, labelled=labelled)
    seen = f"{len(others)} other files, such as {', '.join(others[:3])}" if others else "it is empty"
    raise DataError(
        f"expected a folder with pictures, texts or a table in it or below; {path} has none ({seen}). "
        "Name the folder that holds your data, or one of the files."
    )


def _open_file(path: str) -> Table:
    lower = path.lower()
    if lower.endswith((*_TABLES, ".json")):
        from engram.data.source.tabular import read_tabular

        return read_tabular(path)
    if lower.endswith(".npz"):
        from engram.data.source.npz import read_npz

        return read_npz(path)
    from engram.data.source.files import read_files
    from engram.data.source.idx import is_idx, read_idx_files
    from engram.data.source.listing import is_picture

    if is_picture(path):
        return read_files([path], origin=path)
    if is_idx(path):
        return read_idx_files([path], origin=path)
    if lower.endswith((*_ARCHIVES, ".gz")):
        raise DataError(f"expected data; {path} is an archive. Unpack it and name the folder.")
    if _begins_like_a_picture(path):
        return read_files([path], origin=path)
    return _open_text(path)


def _open_text(path: str) -> Table:
    """Open a file of text: one of several languages, a chat, lines of numbers or with labels, or a corpus."""
    from engram.data.source.chat_exports import read_chat_log
    from engram.data.source.corpus import read_text_files
    from engram.data.source.encodings import NoTextError
    from engram.data.source.labelled_lines import read_labelled_lines
    from engram.data.source.lines import read_number_lines
    from engram.data.source.parallel import read_beside_file

    try:
        return (
            read_beside_file(path)
            or read_chat_log(path)
            or read_number_lines(path)
            or read_labelled_lines(path)
            or read_text_files([path], origin=path)
        )
    except NoTextError as error:
        raise DataError(
            f"{error} Data is a folder, a picture, a text, or a CSV, TSV, JSON, Parquet, IDX or npz file."
        ) from None


def _begins_like_a_picture(path: str) -> bool:
    with open(path, "rb") as file:
        start = file.read(132)
    signatures = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P2\n", b"P3\n", b"P5\n", b"P6\n")
    return start.startswith(signatures) or start[8:12] == b"WEBP" or start[128:] == b"DICM"


def _not_there(path: str) -> str:
    if not path:
        return "expected data; got an empty path. Name a folder or a file."
    if glob.has_magic(path):
        return f"expected files; nothing matches {path}. Check the pattern."
    if "://" in path:
        return f"expected data on this machine; got the address {path}. Download it first."
    parent, name = os.path.split(path.rstrip("/"))
    if not os.path.isdir(parent or "."):
        return f"expected data; there is no {path}, nor the folder around it. Check the path."
    guess = nearest(name, os.listdir(parent or "."))
    hint = f"Did you mean {os.path.join(parent, guess)}?" if guess else "Check the path."
    return f"expected data; there is no {path}. {hint}"
