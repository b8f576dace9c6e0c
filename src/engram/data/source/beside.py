"""Tables in a folder: of labels that lie beside the pictures, or one for each split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.packed import packed
from engram.data.source.fingerprint import digest
from engram.data.source.listing import Listing
from engram.data.source.rows import PICTURE_KINDS
from engram.data.source.splits import ORDER, split_of_file
from engram.data.source.tabular import read_tabular
from engram.data.table import Column, Table


def read_beside(found: Listing, names: list[str]) -> Table | None:
    """Read the table in a folder of pictures that names them, or several with one split each (train.csv, test.csv).

    names: the tables that lie at the top of the folder or of its split folders, relative to it. Returns None
    where none of them names pictures there; DataError where several do and their names tell no splits.
    """
    tables = {name: table for name in names if (table := _read(found, name)) is not None}
    # A form for handing in answers names pictures too, but its labels are placeholders.
    named = {name: table for name, table in tables.items() if "submission" not in name.lower()}
    if not named:
        return None
    if len(named) == 1:
        name, table = next(iter(named.items()))
        notes = [f"The table {name} beside the pictures gives the labels, not the folders.", *table.notes]
        return replace(table, notes=notes)
    splits = {name: split_of_file(name) for name in named}
    if None not in splits.values():
        named = dict(sorted(named.items(), key=lambda item: ORDER.index(splits[item[0]] or "")))
        return _joined(found.root, named, {name: split or "" for name, split in splits.items()})
    raise DataError(
        f"expected one table of labels in {found.root}, or one per split (train.csv, test.csv); got "
        f"{', '.join(named)}. Name the one to use: {Path(found.root) / next(iter(named))}"
    )


def read_split_tables(root: str, names: list[str]) -> Table:
    """Read the tables of a folder that are a split each by their names; others beside them are left out, and named.

    DataError where their names tell no splits, or one split stands in two forms.
    """
    splits = {name: split_of_file(name) for name in names if split_of_file(name)}
    forms = {Path(name).suffix.lower() for name in splits}
    if "train" not in splits.values() or len(forms) > 1:
        raise DataError(
            f"expected one table in {root}, or one per split (train.csv, test.csv) in one form; got "
            f"{', '.join(names)}. Name the one to use: {Path(root) / names[0]}"
        )
    tables = {name: read_tabular(str(Path(root) / name)) for name in splits}
    tables = dict(sorted(tables.items(), key=lambda item: ORDER.index(splits[item[0]] or "")))
    joined = _joined(root, tables, {name: split or "" for name, split in splits.items()})
    left = [name for name in names if name not in splits]
    notes = [f"The tables {', '.join(tables)} are given splits{'; not read: ' + ', '.join(left) if left else ''}."]
    return replace(joined, notes=[*notes, *dict.fromkeys(note for table in tables.values() for note in table.notes)])


def _read(found: Listing, name: str) -> Table | None:
    here = found if "/" not in name else None
    try:
        table = read_tabular(str(Path(found.root) / name), origin=found.root, found=here, required=False)
    except DataError as error:
        if found.empty:
            raise
        # Class folders may give the labels all the same: the user is told, and the folder is read.
        found.findings.append(Finding("warning", "unread_table", str(error), (name,), "mend it, or remove it"))
        return None
    return table if any(column.kind in PICTURE_KINDS[:1] for column in table.columns.values()) else None


def _joined(root: str, tables: dict[str, Table], splits: dict[str, str]) -> Table:
    """Put the rows of several tables one after another, with the columns that the first of them has."""
    names = max((list(table.columns) for table in tables.values()), key=len)
    columns = {}
    for name in names:
        parts = [table.columns.get(name) or _nothing(name, len(table)) for table in tables.values()]
        kinds = {part.kind for part in parts if part.fingerprint}
        kind = kinds.pop() if len(kinds) == 1 else "text"
        values = packed([value for part in parts for value in part.values], kind)
        columns[name] = Column(name, values, kind, digest(*(part.fingerprint for part in parts)))
    split = np.concatenate([np.full(len(table), splits[name], "<U5") for name, table in tables.items()])
    reason = f"The tables {', '.join(tables)} beside the pictures give the labels, and each is a given split."
    findings = [finding for table in tables.values() for finding in table.findings]
    fingerprint = digest("beside", *(table.fingerprint for table in tables.values()))
    return Table(columns, root, fingerprint, split, None, [reason], findings)


def _nothing(name: str, length: int) -> Column:
    return Column(name, [None] * length, "text")
