"""The numbers behind a chart, as a CSV file that the page itself holds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup


def with_data(drawing: Markup, name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """Return a drawing with a link under it that saves its numbers. name: of the chart, from which the file has its."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerows([[_cell(value) for value in row] for row in (head, *rows)])
    file = re.sub(r"\W+", "-", name).strip("-").lower() or "data"
    return Markup(
        '<div class="plot">{drawing}<a class="data" download="{file}.csv" href="data:text/csv;charset=utf-8,{content}">'
        "numbers (CSV)</a></div>"
    ).format(drawing=drawing, file=file, content=quote(content.getvalue()))


def _cell(value: Any) -> str:
    """A number in full; a text so that no spreadsheet takes it for a formula."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text
