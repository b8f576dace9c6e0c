"""Reading what may be damaged or hostile: plain files alone, JSON that says one thing only, a seal that fits.

Needs nothing but Python, so that a bad run is refused before anything heavy is imported. Everything here raises
ValueError, which says what is wrong; whoever reads names the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

MOST_BYTES, MOST_PARTS = 32 << 20, 1_000_000
"""JSON of more bytes, or more values, is refused: the scores of 20,000 classes are a third of it."""

DEEPEST = 40
"""JSON nested deeper than this is refused; ours has some ten levels."""

_SEAL = b',\n "sha256": "'


def check_plain(path: Path, *, folder: bool = False) -> os.stat_result | None:
    """Return what a path is, None where nothing is there; ValueError unless it is a plain file (or a plain folder).

    Links lead out of the run, and reading a pipe or a device may never end.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise ValueError("it is a symbolic link, which may lead anywhere; put what it names in its place")
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(found.st_mode):
        raise ValueError(f"it is not a plain {'folder' if folder else 'file'}")
    return found


def read_plain(path: Path, *, most: int | None = None) -> bytes:
    """Read a plain file of at most so many bytes; FileNotFoundError where there is none."""
    found = check_plain(path)
    if found is None:
        raise FileNotFoundError(path)
    if most is not None and found.st_size > most:
        raise ValueError(f"it has {found.st_size} bytes, more than the {most} that it may have")
    return path.read_bytes()


def read_json(path: Path) -> Any:
    """Read a plain file of JSON strictly."""
    return parse(read_plain(path, most=MOST_BYTES))


def parse(content: bytes, *, most_parts: int = MOST_PARTS) -> Any:
    """Parse JSON that repeats no key, has at most so many values and is not nested without end."""
    if sum(map(content.count, (b",", b"[", b"{"))) > most_parts:
        raise ValueError(f"it holds more than {most_parts} values")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested without end") from None
    level, depth = [[value]], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        inner = [v for outer in level for v in outer if isinstance(v, dict | list)]
        level, depth = [list(v.values()) if isinstance(v, dict) else v for v in inner], depth + 1
    return value


def sealed(value: dict[str, Any]) -> bytes:
    """Write an object as JSON whose last field is the SHA-256 of all that stands before it."""
    assert value and "sha256" not in value
    text = json.dumps(value, indent=1, ensure_ascii=False).removesuffix("\n}")
    body = text.encode("utf-8", "backslashreplace")  # a file's name may hold what is no text
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def unsealed(content: bytes) -> dict[str, Any]:
    """Read what `sealed` wrote; ValueError where one bit of it has changed."""
    body, _, seal = content.rpartition(_SEAL)
    if seal != hashlib.sha256(body).hexdigest().encode() + b'"\n}\n':
        raise ValueError("its checksum does not fit its content")
    value = parse(content)
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    del value["sha256"]
    return value


def sealed_line(value: dict[str, Any]) -> bytes:
    """Write an object as one line of JSON whose last field is a checksum of the others."""
    return json.dumps({**value, "check": _check(value)}).encode() + b"\n"


def unsealed_lines(content: bytes) -> list[dict[str, Any]]:
    """Read lines that `sealed_line` wrote. A last one that was not written to its end is left out."""
    *whole, last = content.split(b"\n")
    found = [_unsealed_line(line) for line in whole]
    with contextlib.suppress(ValueError):
        found.append(_unsealed_line(last))
    return found


def _unsealed_line(line: bytes) -> dict[str, Any]:
    value = parse(line)
    if not isinstance(value, dict) or value.pop("check", None) != _check(value):
        raise ValueError("the checksum of a line does not fit it")
    return value


def _check(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def digest(path: Path) -> str:
    """The SHA-256 of a file, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it says something twice")
    return found
