"""Parallel text: one file a language, their lines going together (train.en beside train.de), found by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engram.core.errors import DataError
from engram.data.source import documents
from engram.data.source.fingerprint import digest
from engram.data.source.languages import WORDS
from engram.data.source.splits import ORDER, split_named, split_of_file
from engram.data.table import Column, Table

Set = Mapping[str, str]
"""Language -> path of the file, of lines that go together."""


def sets_among(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the sets among file names: what their names share -> language -> file name, two languages at least.

    A language is a word of the name (train.en, train.en.txt, de_dev.txt, german.txt, train.src), and of several the one
    that has partners.
    """
    candidates: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        for key, language in _readings(name):
            candidates.setdefault(key, {}).setdefault(language, name)
    found: dict[str, dict[str, str]] = {}
    used: set[str] = set()
    for key in sorted(candidates, key=lambda key: (-len(candidates[key]), key)):
        files = candidates[key]
        if len(files) > 1 and not used & set(files.values()):
            used |= set(files.values())
            found[key] = files
    return dict(sorted(found.items()))


def _readings(name: str) -> Iterable[tuple[str, str]]:
    """Yield (the name without a language, that language) for each word that is one."""
    folder, _, file = name.rpartition("/")
    pieces = re.split(r"([._-])", file)
    for at, piece in enumerate(pieces):
        if piece.lower() in WORDS:
            rest = "".join([*pieces[:at], "*", *pieces[at + 1 :]])
            yield f"{folder}/{rest}" if folder else rest, piece.lower()


def read_parallel(root: str, names: Iterable[str]) -> Table | None:
    """Read the sets among some files of a folder, each a given split where its name says one; None without a set.

    Sets for training are read together. Of several for validation or test, the one with most languages counts, then
    the one that is called so and nothing else, then the first by name; it is said which were left out.
    DataError where files of a set have different numbers of lines.
    """
    sets = sets_among(names)
    if not sets:
        return None
    chosen, left = _chosen(sets)
    shared = [name for name in next(iter(chosen.values())) if all(name in files for files in chosen.values())]
    if len(shared) < 2:
        listed = "; ".join(f"{key} in {', '.join(files)}" for key, files in chosen.items())
        first = next(iter(next(iter(chosen.values())).values()))
        raise DataError(
            f"expected the same two languages in all files of {root}; got {listed}. "
            f"Name a file of the set to use, such as {os.path.join(root, first)}"
        )
    splits = {key: split_of_file(key) or "" for key in chosen}
    paths = {key: {name: os.path.join(root, files[name]) for name in shared} for key, files in chosen.items()}
    table = _read_sets(root, list(paths.values()), list(splits.values()))
    table.notes.append(_reason(chosen, shared, splits))
    if left:
        more = f"also there, left out: {', '.join(left)}; to score one of them, name one of its files"
        table.notes.append(f"Further sets of lines are {more}.")
    return table


def read_beside_file(path: str) -> Table | None:
    """Read one file together with its partners in other languages beside it; None where it has none."""
    folder, name = os.path.split(path)
    files = [entry.name for entry in os.scandir(folder or ".") if entry.is_file()]
    mine = {key: files for key, files in sets_among(files).items() if name in files.values()}
    return _alone(folder, mine)


def read_named_files(paths: Sequence[str]) -> Table | None:
    """Read files that are parallel by their names; None where they are not all of one set."""
    sets = sets_among(paths)
    return _alone("", sets) if len(sets) == 1 and len(next(iter(sets.values()))) == len(paths) else None


def _alone(folder: str, sets: dict[str, dict[str, str]]) -> Table | None:
    """Read one set, no split given."""
    if not sets:
        return None
    key, files = next(iter(sets.items()))
    table = _read_sets(folder, [{name: os.path.join(folder, file) for name, file in files.items()}], [""])
    return replace(table, split=None, notes=[_reason(sets, list(files), {key: ""})])


def _chosen(sets: dict[str, dict[str, str]]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Of the sets those that are read, in the order of their splits, and the names of the others."""
    chosen: list[str] = []
    for split in ORDER:
        of_split = [key for key in sets if (split_of_file(key) or "") == split]
        if split in ("val", "test"):
            of_split = sorted(of_split, key=lambda key: (-len(sets[key]), not _says_only_split(key), key))[:1]
        chosen += of_split
    return {key: sets[key] for key in chosen}, [key for key in sets if key not in chosen]


def _says_only_split(key: str) -> bool:
    return split_named(os.path.basename(key).replace("*", "").replace(".txt", "").strip("._-")) is not None


def _read_sets(root: str, sets: Sequence[Set], splits: Sequence[str]) -> Table:
    files = {path: documents.sound(path) for paths in sets for path in paths.values()}
    columns: dict[str, Column] = {}
    numbers: list[list[int]] = []
    for language in sets[0]:
        own = [files[paths[language]] for paths in sets]
        texts = documents.lines(root, own)
        numbers.append(np.bincount(texts.of, minlength=len(own)).tolist())
        columns[language] = documents.column(language, texts)
    for number, paths in enumerate(sets):
        _same_length({paths[name]: counts[number] for name, counts in zip(columns, numbers, strict=True)})
    split = np.repeat(np.array(splits, "<U5"), numbers[0])
    fingerprint = digest("parallel", *(part for c in columns.values() for part in (c.name, c.fingerprint)))
    found = documents.findings(list(files.values()), root)
    return Table(columns, root, fingerprint, split if any(splits) else None, None, [], found)


def _same_length(counts: dict[str, int]) -> None:
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{number:,} in {path}" for path, number in counts.items())
        raise DataError(
            f"expected as many lines in each language, because they go together one by one; got {said}. "
            "A line is missing, or a line end stands within a sentence: mend the files. Texts that do not go together "
            "need names without languages."
        )


def _reason(sets: Mapping[str, Set], languages: Sequence[str], splits: Mapping[str, str]) -> str:
    listed = ", ".join(f"{key}{f' ({splits[key]})' if splits[key] else ''}" for key in sets)
    return f"Lines of files in {len(languages)} languages ({', '.join(languages)}) go together: {listed}."
