"""A folder of pictures or texts: which folders are splits, which are labels, and what else lies there."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engram.core.evidence import Finding
from engram.data.source.fingerprint import digest, of_files
from engram.data.source.listing import Folder, Kind, Listing
from engram.data.source.splits import split_named
from engram.data.table import Column, Table

SHOWN = 20
"""How many paths a finding carries at most."""


@dataclass(frozen=True)
class Layout:
    """Which level of the folders says what. None: no level does. `reason` is a sentence for the user."""

    label_level: int | None
    split_level: int | None
    reason: str

    def label(self, folder: Folder) -> str | None:
        """Return the label that a folder gives its files, in composed Unicode (NFC), or None."""
        if self.label_level is None or len(folder.parts) <= self.label_level:
            return None
        return text(folder.parts[self.label_level])

    def split(self, folder: Folder) -> str:
        """Return the split that a folder gives its files, or ""."""
        if self.split_level is None or len(folder.parts) <= self.split_level:
            return ""
        return split_named(folder.parts[self.split_level]) or ""


def text(name: str) -> str:
    """Return a file name as text that any encoding can hold, composed (macOS and Linux write é differently)."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def read_folder(found: Listing, *, labelled: bool = True) -> Table:
    """Turn a folder that holds files of a kind into a table with a column of them and, where folders say it, "label".

    labelled: False leaves labels out of account, so that files outside class folders are kept.
    """
    folders = [folder for folder in found.folders if folder.files]
    plan = layout(folders, found.kind)
    used = [folder for folder in folders if plan.split_level is None or plan.split(folder)]
    findings = [*found.findings, *_unused(folders, used, found.kind), *_empty(found, plan), *other_files(found)]
    labels = [label for folder in used for label in [plan.label(folder)] * len(folder.files)]
    columns = {found.kind.column: _file_column(found, used)}
    if labelled and plan.label_level is not None:
        columns["label"] = Column("label", labels, "text", digest("\0".join([label or "" for label in labels])))
    split = None
    if plan.split_level is not None:
        split = np.repeat([plan.split(folder) for folder in used], [len(folder.files) for folder in used])
    fingerprint = digest("folder", *(column.fingerprint for column in columns.values()))
    return Table(columns, found.root, fingerprint, split, None, [plan.reason], findings)


def _file_column(found: Listing, folders: Iterable[Folder]) -> Column:
    """Return the column over all files of some folders, in their order."""
    folders = list(folders)
    paths: list[str] = []
    for folder in folders:
        prefix = os.path.join(found.root, *folder.parts, "")
        paths += [prefix + name for name in folder.files]
    return Column(found.kind.column, paths, "path", of_files(Listing(found.root, folders).files()))


def layout(folders: list[Folder], kind: Kind) -> Layout:
    """Decide which level of the folders that hold files of a kind means what."""
    top = _top(folders)
    names = _names_at(folders, top)
    if not _say_classes(names, kind):
        return Layout(None, None, f"The {kind.many} lie in no class folders, so they have no labels.")
    known = {name: split for name in names if (split := split_named(name))}
    if known and (len(known) == len(names) or len(set(known.values())) > 1):
        return _splits_first(folders, top, sorted(known), kind)
    if _splits_below(folders, top):
        splits = sorted(_names_at(folders, top + 1))
        reason = f"Each class folder holds {_listed(splits)}, which are given splits; {_labels(names)}."
        return Layout(top, top + 1, reason)
    reason = f"{_labels(names)}; no split is given.".capitalize()
    if any(len(folder.parts) > top + 1 for folder in folders):
        reason += " Folders below a class folder belong to its class."
    return Layout(top, None, reason)


def _splits_first(folders: list[Folder], top: int, names: list[str], kind: Kind) -> Layout:
    inside = [folder for folder in folders if len(folder.parts) > top and folder.parts[top] in names]
    classes = _names_at(inside, top + 1)
    given = f"{_listed(names)} {'is a given split' if len(names) == 1 else 'are given splits'}"
    if not _say_classes(classes, kind):
        return Layout(None, top, f"{given}; the {kind.many} in it lie in no class folders, so they have no labels.")
    return Layout(top + 1, top, f"{given}; {_labels(classes)}.")


def _say_classes(names: set[str], kind: Kind) -> bool:
    return len(names) > 1 or bool({name.lower() for name in names} - kind.plain)


def _top(folders: list[Folder]) -> int:
    """Return the level at which folders begin to differ: a single folder around everything says nothing."""
    level = 0
    while all(len(folder.parts) > level + 1 for folder in folders):
        names = _names_at(folders, level)
        if len(names) > 1 or split_named(next(iter(names))):
            break
        level += 1
    return level


def _splits_below(folders: list[Folder], top: int) -> bool:
    """Tell whether every class folder holds split folders and nothing else."""
    if not all(len(folder.parts) > top + 1 for folder in folders):
        return False
    splits = {split_named(name) for name in _names_at(folders, top + 1)}
    return None not in splits and len(splits) > 1


def _names_at(folders: list[Folder], level: int) -> set[str]:
    return {folder.parts[level] for folder in folders if len(folder.parts) > level}


def _labels(names: Iterable[str]) -> str:
    names = [text(name) for name in sorted(names)]
    if len(names) == 1:
        return f"the one class folder {names[0]}/ is the label"
    return f"the {len(names)} class folders are the labels ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(f"{name}/" for name in names[:-1]), f"{names[-1]}/"]))


def _unused(folders: list[Folder], used: list[Folder], kind: Kind) -> Iterable[Finding]:
    chosen = {folder.parts for folder in used}
    rest = [folder for folder in folders if folder.parts not in chosen]
    if rest:
        number = sum(len(folder.files) for folder in rest)
        message = f"{number} {kind.many} lie outside the split folders and were not read"
        where = tuple("/".join(folder.parts) or "." for folder in rest[:SHOWN])
        yield Finding("warning", "outside_splits", message, where, "move them into train/ to use them")


def _empty(found: Listing, plan: Layout) -> Iterable[Finding]:
    """Name the class and split folders without a file of the kind in them or below."""
    filled = {folder.parts[:depth] for folder in found.folders if folder.files for depth in range(1, 99)}
    for level, kind in ((plan.split_level, "split"), (plan.label_level, "class")):
        if level is None:
            continue
        empty = [f for f in found.folders if len(f.parts) == level + 1 and f.parts not in filled]
        if kind == "split":
            empty = [folder for folder in empty if split_named(folder.parts[-1])]
        elif plan.split_level is not None:
            empty = [folder for folder in empty if folder.parts[:-1] in filled and plan.split(folder)]
        if empty:
            where = tuple("/".join(folder.parts) for folder in empty)
            message = f"{len(empty)} {kind} folder{'s hold' if len(empty) > 1 else ' holds'} no {found.kind.one}"
            fix = f"put {found.kind.many} in, or remove the folder"
            yield Finding("warning", f"empty_{kind}", message, where, fix)


def other_files(found: Listing) -> Iterable[Finding]:
    """Name the files that are of another kind, and apart from them those in formats that cannot be read."""
    kind = found.kind
    paths = [folder.relative(name) for folder in found.folders for name in folder.others]
    unread = [path for path in paths if _extension(path) in kind.unread]
    if unread:
        kinds = ", ".join(sorted({f".{_extension(path)}" for path in unread}))
        message = f"{len(unread)} files are in a format that is not read ({kinds})"
        yield Finding("warning", "unread_format", message, tuple(unread[:SHOWN]), kind.convert)
    about = [path for path in paths if _stem(path) in kind.about]
    if about:
        message = f"{len(about)} files tell of the data and were not read"
        yield Finding("info", "about_files", message, tuple(about[:SHOWN]))
    rest = [path for path in paths if _extension(path) not in kind.unread and path not in about]
    if rest:
        kinds_of = Counter(f".{_extension(path)}" if _extension(path) else "without extension" for path in rest)
        named = ", ".join(f"{number} {extension}" for extension, number in kinds_of.most_common(5))
        message = f"{len(rest)} files were not read as {kind.many} ({named})"
        yield Finding("info", "other_files", message, tuple(rest[:SHOWN]))


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0].lower()


def _extension(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower()
