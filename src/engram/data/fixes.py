"""Fixes: what the doctor proposes row by row, as a CSV file that a person edits, and the view of the data it makes.

Files are never changed. A view leaves rows out and gives others a new label; the split stays that of the data as it
was, so that runs before and after are scored on the same rows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, DataError, unknown
from engram.core.evidence import Finding, Fix
from engram.data.source.fingerprint import digest
from engram.data.table import Column, Table

COLUMNS = ("row", "where", "action", "label", "new_label", "score", "reason")
ACTIONS = ("keep", "relabel", "drop")
"""The later ones outdo the earlier where several are proposed for one row."""

_STRENGTH = {action: strength for strength, action in enumerate(ACTIONS)}


@dataclass(frozen=True)
class Fixes:
    """A file of fixes as it was read: its content is what a run keeps."""

    origin: str
    content: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class View:
    """Data as some fixes make it. kept: bool (N,). labels: the target's column. actions: action -> number of rows.

    in_test: how many rows of a given test set are changed.
    """

    kept: np.ndarray
    labels: Column | None
    actions: dict[str, int]
    fixes: Fixes
    in_test: int = 0

    @property
    def said(self) -> str:
        """One sentence for the user."""
        return (
            f"Fixes from {self.fixes.origin}: {self.actions['drop']:,} rows are left out and "
            f"{self.actions['relabel']:,} have a new label; your files stay as they are."
        )

    def record(self) -> dict[str, Any]:
        """What a run says of it."""
        return {"file": self.fixes.origin, "sha256": self.fixes.checksum, **self.actions}


def gathered(findings: Iterable[Finding]) -> list[Fix]:
    """One fix a row, the strongest proposed for it, the surest first."""
    chosen: dict[int, Fix] = {}
    for fix in (fix for finding in findings for fix in finding.fixes):
        known = chosen.get(fix.row)
        if known is None or (_STRENGTH[fix.action], fix.score) > (_STRENGTH[known.action], known.score):
            chosen[fix.row] = fix
    return sorted(chosen.values(), key=lambda fix: (-fix.score, fix.row))


def described(fixes: Sequence[Fix], table: Table, column: Column, labels: Sequence[Any] | None) -> list[dict[str, Any]]:
    """The fixes as lines of the file: one dictionary each, with the names in `COLUMNS`."""
    place = names(table, column)
    return [
        {
            "row": fix.row,
            "where": place[fix.row],
            "action": fix.action,
            "label": _text(labels[fix.row]) if labels is not None else "",
            "new_label": fix.label,
            "score": round(fix.score, 4),
            "reason": fix.reason,
        }
        for fix in fixes
    ]


def write(path: str | Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the lines as CSV. ConfigError where the file is there already: somebody may have edited it."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    try:
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(buffer.getvalue())
    except FileExistsError:
        raise ConfigError(f"expected a new file for the fixes; {path} is there already. Name another.") from None
    except OSError as error:
        raise ConfigError(f"the fixes cannot be written to {path} ({error.strerror}). Name another file.") from None


def read(path: str | Path) -> Fixes:
    """Read a file of fixes; DataError where there is none."""
    try:
        return Fixes(str(path), Path(path).read_bytes())
    except OSError as error:
        raise DataError(
            f"expected a CSV file of fixes; {path} cannot be read ({error.strerror}). "
            "Make one with: engram inspect DATA --fixes FILE"
        ) from None


def apply(fixes: Fixes, table: Table, column: Column, labels: Column | None) -> View:
    """Return the view that the fixes make of a table.

    column: by which rows are named. labels: the target's, None where there is none. DataError names the line of
    the file that cannot be followed: an unknown action, a row that the data does not have, a missing label.
    """
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names(table, column)):
        places.setdefault(name, []).append(row)
    kept = np.ones(len(table), bool)
    new_labels: dict[int, Any] = {}
    actions, in_test = dict.fromkeys(ACTIONS, 0), 0
    for number, line in _lines(fixes):
        action = (line.get("action") or "").strip().lower()
        if action not in ACTIONS:
            raise DataError(f"{fixes.origin}, line {number}: {unknown('action', action, ACTIONS)}.")
        for row in _rows(line, places, f"{fixes.origin}, line {number}"):
            actions[action] += 1
            in_test += action != "keep" and table.split is not None and table.split[row] == "test"
            if action == "drop":
                kept[row] = False
            elif action == "relabel":
                new_labels[row] = _new_label(line, labels, row, f"{fixes.origin}, line {number}")
    if labels is not None and new_labels:
        values = [new_labels.get(row, value) for row, value in enumerate(labels.values)]
        labels = replace(labels, values=values, fingerprint=digest(labels.fingerprint, fixes.content))
    return View(kept, labels, actions, fixes, in_test)


def names(table: Table, column: Column) -> list[str]:
    """Name every row so that it is found again after the data has been moved: paths relative to the data."""
    places = [column.where(row) for row in range(len(column))]
    root = table.origin if os.path.isdir(table.origin) else os.path.dirname(table.origin)  # noqa: PTH112, PTH120
    root = os.path.join(root, "") if root else ""  # noqa: PTH118
    if column.kind != "path" or not all(place.startswith(root) for place in places):
        return places
    return [place[len(root) :] for place in places]


def _lines(fixes: Fixes) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        text = fixes.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"expected UTF-8 text in {fixes.origin}; save it so from the program that wrote it.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=_dialect(text))
    if missing := {"where", "action"} - set(reader.fieldnames or ()):
        raise DataError(
            f"expected the columns {', '.join(COLUMNS)} in {fixes.origin}; it lacks {', '.join(sorted(missing))}. "
            "Make such a file with: engram inspect DATA --fixes FILE"
        )
    for line in reader:
        yield reader.line_num, line


def _dialect(text: str) -> type[csv.Dialect]:
    """Spreadsheets of some countries save with semicolons."""
    first = text.split("\n", 1)[0]

    class Dialect(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Dialect


def _rows(line: Mapping[str, str], places: Mapping[str, list[int]], said: str) -> list[int]:
    """The rows that a line means: those of its name, and of several with one name the one with its number."""
    found = places.get(line["where"], [])
    if not found:
        raise DataError(
            f"{said}: the data has no row {line['where']!r}. Is the file of other data? Remove the line if it is gone."
        )
    number = (line.get("row") or "").strip()
    return [int(number)] if number.isdecimal() and int(number) in found else found


def _new_label(line: Mapping[str, str], labels: Column | None, row: int, said: str) -> Any:
    name = (line.get("new_label") or "").strip()
    if labels is None:
        raise DataError(f"{said}: the data has no labels, so that none can be changed.")
    if not name:
        raise DataError(f"{said}: expected a new_label for the action relabel; it is empty. Fill it in.")
    return name.split("|") if isinstance(labels.values[row], list | tuple) else name


def _text(label: Any) -> str:
    return "|".join(map(str, label)) if isinstance(label, list | tuple) else str(label)
