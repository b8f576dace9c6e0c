"""Files that tests of reading write, and what reading found in them."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def kinds(table) -> dict[str, str]:
    return {finding.kind: finding.severity for finding in table.findings}
