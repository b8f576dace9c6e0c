"""Whether a table is to be learned from column by column, on which tasks for tables and for texts agree."""

from __future__ import annotations

from dataclasses import dataclass

from engram.data.source.rows import is_input
from engram.data.table import Column, Table
from engram.features.category import ID_NAMES, LABEL_NAMES
from engram.features.text import Text

MANY = 3
"""Beside so many other columns, a text is one of many things that a row says."""


@dataclass(frozen=True)
class Columns:
    """What there is to learn from: target, None where nobody names it; texts, and plain columns beside them."""

    target: Column | None
    texts: list[str]
    plain: list[str]

    @property
    def many(self) -> bool:
        """Whether rows are to be learned from by their columns: there is more than a text with something beside it."""
        return bool(self.plain) and (not self.texts or len(self.plain) >= MANY)


def columns_of(table: Table) -> Columns | None:
    """Tell columns apart; None for rows of another kind, such as pictures."""
    if any(is_input(column) for column in table.columns.values()):
        return None
    target = _target(table)
    others = {name: column for name, column in table.columns.items() if target is None or name != target.name}
    texts = [name for name, column in others.items() if Text.matches(column).score > 0.5]
    plain = [name for name in others if name not in texts and not ID_NAMES.search(name.lower())]
    return Columns(target, texts, plain)


def _target(table: Table) -> Column | None:
    """The column that the user names, or the only one that is called a label."""
    named = table.targets or [name for name in table.columns if name.strip().lower() in LABEL_NAMES]
    return table.columns[named[0]] if len(named) == 1 else None
