"""Values as a person or a program reads them: texts with units, tables, JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from engram.core.units import format_bytes, format_count, format_duration, format_number


def stdout() -> Console:
    """The console of what a verb found."""
    return Console(highlight=False, markup=False, emoji=False)


def text(value: Any, name: str = "") -> str:
    """A value as a person reads it; the last word of its name says the unit."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and (unit := unit_of(name)):
        return unit(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text(inner) for inner in value)
    return str(value)


_UNITS: dict[str, Callable[[Any], str]] = {
    "seconds": format_duration,
    "bytes": format_bytes,
    "memory": format_bytes,
    "disk": format_bytes,
    "parameters": format_count,
}


def unit_of(name: str) -> Callable[[Any], str] | None:
    """How a number of this name is written, by the last word of it; None for one without a unit."""
    return _UNITS.get(name.rpartition("_")[2])


def amount(value: Any) -> str:
    """A measurement as a person reads it: five digits, more before the point; a text as it is."""
    if not isinstance(value, int | float):
        return str(value)
    digits = 4 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return f"{value:,.{max(0, min(digits, 10))}f}"


def _by_step(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """An answer as rows: a forecast has one for each step."""
    rest = {name: value for name, value in answer.items() if name != "forecast"}
    return [{**rest, **step} for step in answer["forecast"]] if "forecast" in answer else [answer]


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as one row: lists of answers as `label 0.93, other 0.05`, dictionaries by joined names."""
    row: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif isinstance(value, list | tuple):
            row[name] = ", ".join(
                " ".join(text(v) for v in item.values()) if isinstance(item, Mapping) else text(item) for item in value
            )
        else:
            row[name] = value
    return row


def show_table(columns: Iterable[str], rows: Iterable[Iterable[str]], console: Console | None = None) -> None:
    """A table without ruling. Where this is no terminal, columns are aligned by spaces and never cut."""
    console, header, lines = console or stdout(), list(columns), [list(row) for row in rows]
    if not lines:
        return
    if console.is_terminal:
        console.print()
        table = Table(*header, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for line in lines:
            table.add_row(*line)
        console.print(table)
        return
    widths = [max(len(line[at]) for line in [header, *lines]) for at in range(len(header))]
    for line in [header, *lines]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.print("  ".join(cells).rstrip(), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON value as one line, at once. JSON knows no infinity and no NaN: such numbers become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_csv(answers: Sequence[Mapping[str, Any]]) -> None:
    """Answers as CSV on stdout, numbers in full."""
    rows = [flat(row) for answer in answers for row in _by_step(answer)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
