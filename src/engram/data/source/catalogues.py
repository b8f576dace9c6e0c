"""A table of items, or of users, beside a table of interactions, joined by the key of both: titles, genres, ages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.roles import ROLES, called, snake
from engram.data.source.columns import separated
from engram.data.source.lines import read_lines
from engram.data.source.splits import split_of_file
from engram.data.source.tabular import read_sheet
from engram.features._catalogue import YEAR, Catalogue
from engram.features.category import ID_NAMES, canonical

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
HEADERLESS = (".dat", ".item", ".user")
MOST_TWICE = 0.1
"""So many rows of a table of items may be of items that it has before."""

JOINS = 0.5
"""Share of the items, or users, that a table has to know to be theirs."""

TITLES = re.compile(r"(.*_)?(title|name|label)")
MOST_VALUES = 1_000
"""Different values of a column of the catalogue, beyond which it says something of each item by itself."""


def catalogue_beside(
    origin: str, found: Mapping[str, str], role: str, items: list[str]
) -> tuple[Catalogue, list[str], list[Finding]]:
    """Return the catalogue of all items, with what a table in the folder of `origin` says of them; notes; findings.

    found: role -> column of the interactions; the table has that of `role`, "item" or "user" (whose catalogue is made
    in the same way), and not the other; or a column called like an item, or `id` in a file called so. Items that only
    the table knows are items too.
    """
    other = "user" if role == "item" else "item"
    findings: list[Finding] = []
    for path in _candidates(Path(origin), role):
        columns = _columns(path, found, role, other=other)
        key = next(iter(columns), "")
        names = _names(columns.pop(key)) if len(columns) > 1 else []
        if not any(names):
            continue
        if twice := len(names) - len(set(names)) - max(0, names.count("") - 1):
            joins = twice <= MOST_TWICE * len(names)
            said = f"{path.name} has {twice:,} rows of {role}s that it has before; "
            said += "the first of each is taken" if joins else "it is not joined"
            findings.append(Finding("warning", f"repeated_{role}s", said, fix=f"write one row for each {role}"))
            if not joins:
                continue
            first = np.unique(names, return_index=True)[1].tolist()
            names, columns = [names[row] for row in first], {n: [v[row] for row in first] for n, v in columns.items()}
        known = len(set(items).intersection(names))
        if known < JOINS * len(items):
            said = f"{path.name} has a column {key}, but knows {known:,} of {len(items):,} {role}s; it is not joined"
            findings.append(Finding("warning", "no_join", said, fix=f"write the {role}s alike in both files"))
            continue
        titles, more = _described(columns)
        if titles or more:
            told = [*(["titles"] if titles else []), *more]
            note = f"{path.name} says of {known:,} of {len(items):,} {role}s {', '.join(told)}."
            return _joined(items, names, titles, more), [note], findings
    return Catalogue(items), [], findings


def interactions_among(root: str, names: list[str]) -> str | None:
    """The table of a folder that says who took what; None where none does, or several are a split each.

    Without a header it is the one of numbers beside tables of users or items.
    """
    headers = {name: _header(Path(root) / name) for name in names}
    roles = {name: {role for role in ROLES if any(called(role, c) for c in header)} for name, header in headers.items()}
    fitting = [name for name, found in roles.items() if {"user", "item"} <= found]
    rated = [name for name in fitting if "rating" in roles[name]]
    bare = [name for name, header in headers.items() if all(re.fullmatch(r"[\d.]+", cell) for cell in header)]
    chosen = rated or fitting or (bare if {"user", "item"} & set().union(*roles.values()) else [])
    return chosen[0] if len(chosen) == 1 and not any(map(split_of_file, names)) else None


def _candidates(origin: Path, role: str) -> list[Path]:
    """Tables beside a file; without headers, those that are called like items, or users."""
    if not origin.is_file():
        return []
    beside = sorted(path for path in origin.parent.iterdir() if path.is_file() and path != origin)
    tables = [path for path in beside if path.suffix.lower() in TABLES]
    return tables + [
        p for p in beside if p.suffix.lower() in HEADERLESS and (called(role, p.stem) or p.suffix == f".{role}")
    ]


def _columns(path: Path, found: Mapping[str, str], role: str, *, other: str) -> dict[str, Sequence[Any]]:
    """The columns of a table, the key first; none where it has no such column."""
    first: str | None = found[role]
    try:
        if path.suffix.lower() in HEADERLESS:
            columns = read_lines(str(path)) or {}
            first = next(iter(columns), "")
        else:
            if path.suffix.lower() in (".csv", ".tsv"):
                first = _key(_header(path), found, role, other, stem=path.stem)
            columns = dict(read_sheet(str(path)).columns) if first else {}
    except DataError:
        return {}
    return {first: columns[first], **columns} if first in columns else {}


def _key(header: list[str], found: Mapping[str, str], role: str, other: str, *, stem: str) -> str | None:
    """The column by which a table joins; None where it has none, or holds more interactions, such as tags."""
    if found[role] in header:
        return None if found[other] in header else found[role]
    if any(called(other, name) for name in header):
        return None
    alike = [name for name in header if called(role, name)]
    return next(iter(alike + [name for name in header if name.lower() == "id" and called(role, stem)]), None)


def _header(path: Path) -> list[str]:
    """What the first line of a file of separated values says."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return [name.strip().strip('"') for name in re.split(r"[,;\t]", file.readline())]


def _names(values: Sequence[Any]) -> list[str]:
    return [canonical(value) if value is not None else "" for value in values]


def _described(columns: dict[str, Sequence[Any]]) -> tuple[list[str], dict[str, list[list[str]]]]:
    """Titles, and the columns by which items can be told apart or found."""
    titles: list[str] = []
    more: dict[str, list[list[str]]] = {}
    for name, given in columns.items():
        if ID_NAMES.search(snake(name)):
            continue
        values = ["" if value is None else canonical(value) for value in given if True] if _plain(given) else None
        lists = separated(name, [v or None for v in values]) if values and _is_text(given) else None
        if lists is not None:
            more[name] = [of_item or [] for of_item in lists]
        elif values and not titles and _is_text(given) and (TITLES.fullmatch(snake(name)) or _different(values)):
            titles = values
        elif values and len(set(values)) <= MOST_VALUES:
            more[name] = [[value] if value else [] for value in values]
    years = [YEAR.search(title) for title in titles]
    if titles and "year" not in more and sum(year is not None for year in years) > JOINS * len(titles):
        more["year"] = [[year.group(1)] if year else [] for year in years]
    return titles, more


def _plain(values: Sequence[Any]) -> bool:
    return all(value is None or isinstance(value, str | int | float) for value in values)


def _is_text(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _different(values: list[str]) -> bool:
    return len(set(values)) > 0.9 * len(values)


def _joined(items: list[str], names: list[str], titles: list[str], more: dict[str, list[list[str]]]) -> Catalogue:
    """The items in their order, then those that only the table knows."""
    present = set(items)
    every = [*items, *(name for name in names if name and name not in present)]
    row = {name: place for place, name in enumerate(names)}
    places = [row.get(name) for name in every]
    said = [titles[place] if place is not None else "" for place in places] if titles else []
    columns = {name: [values[place] if place is not None else [] for place in places] for name, values in more.items()}
    return Catalogue(every, [title or name for title, name in zip(said, every, strict=True)] if said else [], columns)
