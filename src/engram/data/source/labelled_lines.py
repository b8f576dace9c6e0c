"""Lines of text with their labels in a plain file: `__label__x text`, as fastText has them, or label, tab, text."""

from __future__ import annotations

import re
from pathlib import Path

from engram.data.source import encodings
from engram.data.source.columns import to_table
from engram.data.source.tabular import file_fingerprint, read_tabular
from engram.data.table import Table

LOOKED_AT = 1 << 18
"""Bytes by which the form of a file is told."""

MARK = "__label__"
FEW = 0.2
"""Labels recur: the different ones are at most this share of the lines, and a hundred."""


def read_labelled_lines(path: str) -> Table | None:
    """Read such a file as a table; None where it is another text."""
    with open(path, "rb") as file:
        content = file.read(LOOKED_AT)
        cut = bool(file.read(1))
    content = content.rpartition(b"\n")[0] if cut else content
    encoding = encodings.of_content(content, name=path)
    lines = [line for line in encoding.decode(content[encoding.mark :]).split("\n") if line.strip()]
    if len(lines) > 1 and sum(line.startswith(MARK) for line in lines) > 0.9 * len(lines):
        return _fast_text(path)
    if len(lines) > 1 and _labels_before_tabs(lines):
        table = read_tabular(path)
        table.notes.append("Each line is a text and its label, with a tab between them.")
        return table
    return None


def _labels_before_tabs(lines: list[str]) -> bool:
    """Tell whether all lines have one tab, and what stands on one side of it recurs."""
    if any(line.count("\t") != 1 for line in lines):
        return False
    sides = [{line.split("\t")[side].strip() for line in lines} for side in (0, 1)]
    return min(map(len, sides)) <= min(100, max(2, FEW * len(lines)))


def _fast_text(path: str) -> Table:
    with open(path, "rb") as file:
        content = file.read()
    encoding = encodings.of_content(content, name=path)
    labels, texts = [], []
    for line in encoding.decode(content[encoding.mark :]).split("\n"):
        words = line.split()
        own = [word.removeprefix(MARK) for word in words if word.startswith(MARK)]
        if words:
            labels.append(own or None)
            texts.append(re.sub(rf"{MARK}\S+\s*", "", line).strip() or None)
    several = any(own is not None and len(own) > 1 for own in labels)
    columns = {"text": texts, "label": labels if several else [own[0] if own else None for own in labels]}
    table = to_table(columns, base="", origin=path, content=file_fingerprint(path))
    table.notes.append(f"Each line is a text with its label{'s' if several else ''} before it ({MARK}...).")
    table.findings += encodings.findings([(Path(path).name, encoding)])
    return table
