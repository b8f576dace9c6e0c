"""Infer: which column plays which role of a task, with reasons, and with overrides that always win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, DataError, unknown
from engram.core.evidence import Evidence
from engram.core.task import Task
from engram.data.packed import Rows, packed
from engram.data.source.columns import kind_of
from engram.data.source.fingerprint import digest
from engram.data.source.rows import Names, as_names, is_binary, is_input, missing
from engram.data.table import Column, Table
from engram.features.category import LABEL_NAMES, Category
from engram.features.number import Number

CLOSE = 0.1
"""Columns whose evidence differs by less than this are too close to choose between."""

_NAMED = 0.15
"""What it adds that a column is called like the role: more than `CLOSE`, so that "image" wins over "mask"."""


def columns_for(
    table: Table, task: Task, *, target: Names = None, inputs: Names = None
) -> tuple[dict[str, Column], list[str]]:
    """Return a column for each role of the task, and the reasons, one sentence each.

    target, inputs: names of columns, which are taken whatever the evidence says; several target columns become
    one of kind "names" (see `narrowed`). An empty target (`()`) leaves the target's roles out.
    ConfigError where columns are too close to choose between, or a name does not exist; DataError where no
    column fits a role.
    """
    narrow = narrowed(table, target=target, inputs=inputs)
    reasons = list(narrow.notes[len(table.notes) :])
    free = dict(narrow.columns)
    rest = next((role for role, feature in task.inputs.items() if feature.takes == "rest"), None)
    single = {role: feature for role, feature in task.inputs.items() if role != rest}
    named = _named(single, as_names(inputs), option="--input") if rest is None else {}
    if as_names(target):
        named |= _named(task.target, [_target_name(as_names(target))], option="--target")
    roles = {role: free.pop(name) for role, name in named.items()}
    reasons += [f"The {role} is the column {column.name}, as asked." for role, column in roles.items()]
    target_roles = {} if target is not None and not as_names(target) else task.target
    for option, wanted in (("--input", single), ("--target", target_roles)):
        for role, feature in wanted.items():
            if role not in roles:
                option = "--source" if role == "source" else option  # as the command line calls it, too
                column, evidence = _best(role, feature, free, origin=table.origin, option=option)
                roles[role] = free.pop(column.name)
                reasons += _reasons(role, column, evidence, option)
    if rest is not None:
        chosen = as_names(inputs) or list(free)
        roles[rest] = rows_of({name: column for name, column in free.items() if name in chosen})
    return {role: roles[role] for role in (*task.inputs, *target_roles)}, reasons


def columns_of(values: Mapping[str, Sequence[Any]]) -> dict[str, Column]:
    """Name plain columns of values and their kinds."""
    return {name: Column(name, column, kind_of(column)) for name, column in values.items()}


def rows_of(columns: Mapping[str, Column]) -> Column:
    """Make one column of several: its values are the rows of a table."""
    rows = {name: replace(column, values=packed(column.values, column.kind)) for name, column in columns.items()}
    known = all(column.fingerprint for column in columns.values())
    parts = [part for name, column in columns.items() for part in (name, column.kind, column.fingerprint)]
    return Column("row", Rows(rows), "record", digest("rows", *parts) if known else "")


def narrowed(table: Table, *, target: Names = None, inputs: Names = None) -> Table:
    """Return the table with only the columns that may play a role, as tasks judge it (`task.matches`).

    Columns of zeros and ones that stand together become one column: of kind "text" where every row has exactly
    one 1, else of kind "names". With a target named, other columns than inputs and it fall away (where there are
    columns that can only be inputs); with inputs named, other inputs do; with both, all others. What was combined is
    said in the notes.
    """
    targets, chosen = as_names(target), as_names(inputs)
    for name in (*targets, *chosen):
        if name not in table.columns:
            raise unknown("column", name, table.columns)
    columns, notes = dict(table.columns), list(table.notes)
    together = targets if len(targets) > 1 else _indicators(table, chosen) if target is None else []
    if together:
        column, note = _combined([columns.pop(name) for name in together])
        columns[column.name] = column
        notes.append(note)
        targets = [column.name] if targets else []
    if targets and (chosen or any(map(is_input, columns.values()))):
        columns = {n: c for n, c in columns.items() if n in (*targets, *chosen) or (not chosen and is_input(c))}
    elif chosen:
        columns = {n: c for n, c in columns.items() if n in chosen or not is_input(c)}
    return replace(table, columns=columns, notes=notes, targets=tuple(targets))


def likely_target(table: Table) -> str | None:
    """Return the column that is most likely to be predicted, which nobody named: the last one that may be a target.

    None in tables of fewer than three such columns.
    """
    may = [name for name, column in table.columns.items() if Category.matches(column) or Number.matches(column)]
    return may[-1] if len(may) > 2 else None


def _named(roles: Mapping[str, Any], names: list[str], *, option: str) -> dict[str, str]:
    """Give the named columns to the roles in their order."""
    if len(names) > len(roles):
        raise ConfigError(
            f"expected at most {len(roles)} columns for {option} ({', '.join(roles) or 'this task takes none'}); "
            f"got {', '.join(names)}. Name fewer."
        )
    return dict(zip(roles, names, strict=False))


def _best(
    role: str, feature: Any, columns: Mapping[str, Column], *, origin: str, option: str
) -> tuple[Column, Evidence]:
    """Return the column that fits best; ConfigError where another is as good, DataError where none fits."""
    judged = {name: feature.matches(column) for name, column in columns.items()}
    ranked = sorted(judged, key=lambda name: -_score(role, name, judged[name]))
    fitting = [name for name in ranked if judged[name]]
    if not fitting:
        why = "; ".join(f"{name}: {evidence.reason}" for name, evidence in judged.items()) or "no column is left"
        raise DataError(
            f"expected a column for the {role} in {origin}; none fits ({why}). "
            f"Name it with {option} COLUMN, or the task with --task."
        )
    top = _score(role, fitting[0], judged[fitting[0]])
    tied = [name for name in fitting if top - _score(role, name, judged[name]) < CLOSE]
    if len(tied) > 1 and not all(_same_classes(columns[tied[0]], columns[name]) for name in tied[1:]):
        either = "; ".join(f"{name} ({judged[name].reason})" for name in tied)
        raise ConfigError(
            f"expected one column for the {role}; {origin} has {len(tied)} that fit about as well: {either}. "
            f"Say which with {option} {tied[0]} or {option} {tied[1]}."
        )
    # Equal classes twice, as numbers and as words: the words tell the user more.
    winner = next((name for name in tied if columns[name].kind == "text"), tied[0])
    return columns[winner], judged[winner]


def _score(role: str, name: str, evidence: Evidence) -> float:
    return evidence.score + (_NAMED if evidence and name.lower() == role else 0.0)


def _same_classes(one: Column, other: Column) -> bool:
    """Tell whether two columns divide the rows alike, such as class numbers beside class names.

    Values that are nearly all different, such as sentences in two languages, are no classes.
    """
    if {one.kind, other.kind} - {"text", "number"} or one.lazy or other.lazy:
        return False
    pairs = set(zip(one.values, other.values, strict=True))
    return 2 * len(pairs) <= len(one) and len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _reasons(role: str, column: Column, evidence: Evidence, option: str) -> list[str]:
    reasons = [f"The {role} is the column {column.name}: {evidence.reason}."]
    lacking = int(missing(column).sum()) if not is_input(column) else 0
    if lacking:
        reasons.append(f"{lacking} rows have no {column.name}; {option} {column.name} leaves them out.")
    return reasons


def _indicators(table: Table, chosen: list[str]) -> list[str]:
    """Return the columns of zeros and ones, two at least, unless another column is called a label."""
    rest = {n: c for n, c in table.columns.items() if not is_input(c) and n not in chosen}
    binary = [name for name, column in rest.items() if is_binary(column)]
    named = any(name.strip().lower() in LABEL_NAMES for name in rest)
    return binary if len(binary) > 1 and len(rest) < len(table.columns) and not named else []


def _target_name(names: list[str]) -> str:
    return "+".join(names) if len(names) <= 3 else f"{names[0]}+...+{names[-1]}"


def _combined(columns: list[Column]) -> tuple[Column, str]:
    """Make one column of several: names of the columns that are 1, or the texts that stand in them."""
    names = [column.name for column in columns]
    fingerprint = digest("combined", *(part for column in columns for part in (column.name, column.fingerprint)))
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    if all(column.kind in ("text", "names") for column in columns):
        texts = [_texts(row) for row in zip(*(column.values for column in columns), strict=True)]
        note = f"The texts of the columns {listed} are together the labels of each row."
        return Column(_target_name(names), texts, "names", fingerprint), note
    if not all(is_binary(column) for column in columns):
        odd = [column.name for column in columns if not is_binary(column)]
        raise ConfigError(
            f"expected several target columns to hold zeros and ones, or all of them text; {', '.join(odd)} "
            f"{'does' if len(odd) == 1 else 'do'} not. Name one target, or only such columns."
        )
    lacking = np.stack([missing(column) for column in columns], axis=1)
    ones_NK = np.stack([[value == 1 for value in column.values] for column in columns], axis=1)
    blank = f" {int(lacking.sum())} empty cells count as 0." if lacking.any() else ""
    if (ones_NK.sum(axis=1) == 1).all():
        labels = [names[index] for index in ones_NK.argmax(axis=1)]
        note = f"The {len(names)} columns {listed} have exactly one 1 in each row, so they are one label.{blank}"
        return Column(_target_name(names), labels, "text", fingerprint), note
    several = [[names[index] for index in np.flatnonzero(row)] for row in ones_NK]
    note = f"The {len(names)} columns {listed} hold zeros and ones: several labels of each row.{blank}"
    return Column(_target_name(names), several, "names", fingerprint), note


def _texts(row: tuple[Any, ...]) -> list[str]:
    """Return the texts in one row's cells, lists of them laid flat, empty cells left out."""
    return [text for cell in row if cell is not None for text in ([cell] if isinstance(cell, str) else cell)]
