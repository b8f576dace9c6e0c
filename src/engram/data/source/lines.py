"""Lines of values without a header, with colons, tabs, bars or commas between them, as MovieLens has them."""

from __future__ import annotations

import re
from typing import Any

from engram.data.source import encodings
from engram.data.source.columns import to_table
from engram.data.source.tabular import file_fingerprint
from engram.data.table import Table

SEPARATORS = ("::", "\t", "|")
NUMBERS = rb"-?\d+(\.\d+)?((::|\t|\|)-?\d+(\.\d+)?)+"
LOOKED_AT = 1 << 16


def read_number_lines(path: str) -> Table | None:
    """Read lines of two numbers or more as a table (u.data, ratings.dat); None where they are something else."""
    with open(path, "rb") as file:
        head = file.read(LOOKED_AT).split(b"\n")
    first = [line.strip() for line in (head[:-1] if len(head) > 1 else head) if line.strip()]
    if not first or not all(re.fullmatch(NUMBERS, line) for line in first):
        return None
    columns = read_lines(path)
    if columns is None:
        return None
    table = to_table(columns, base="", origin=path, content=file_fingerprint(path))
    table.notes.append(f"The lines have no header; their columns are called {', '.join(columns)}.")
    return table


def read_lines(path: str) -> dict[str, Any] | None:
    """Read such a file into columns called column_1 and so on; None where its lines are otherwise."""
    import polars

    with open(path, "rb") as file:
        content = file.read()
    encoding = encodings.of_content(content, name=path)
    text = encoding.decode(content[encoding.mark :])
    head = [line for line in text[:LOOKED_AT].split("\n") if line.strip()]
    head = head[:-1] if len(text) > LOOKED_AT else head
    separator = next((s for s in SEPARATORS if head and all(s in line for line in head)), None)
    if separator is None or len({line.count(separator) for line in head}) != 1:
        return None
    one = separator if len(separator) == 1 else "\x1f"
    frame = polars.read_csv(
        text.replace(separator, one).replace("\r\n", "\n").encode(), separator=one, has_header=False, quote_char=None,
        infer_schema_length=10_000, ignore_errors=False, truncate_ragged_lines=False,
    )  # fmt: skip
    return {f"column_{number}": frame[name].to_list() for number, name in enumerate(frame.columns, start=1)}
