"""Forms: the parts of a body of `multipart/form-data` (RFC 7578) that has been read whole.

Nothing of a part is copied before it is known to be wanted, and nothing is written to disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

MOST_PARTS = 4096
MOST_HEAD = 8 << 10
"""Bytes of what stands above a part's content."""

_PARAMETER = re.compile(r';\s*([A-Za-z*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


@dataclass(frozen=True)
class Part:
    """One field. filename: None where it is no file."""

    name: str
    filename: str | None
    content: bytes


def parts(body: bytes, content_type: str) -> list[Part]:
    """Take a form apart; ValueError for what is none."""
    boundary = parameters(content_type).get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise ValueError("its content type names no boundary")
    line = b"--" + boundary.encode()
    if not body.startswith(line):
        raise ValueError("it does not begin with its boundary")
    if body.count(b"\r\n" + line) > MOST_PARTS:
        raise ValueError(f"it has more than {MOST_PARTS} parts")
    found = body[len(line) :].split(b"\r\n" + line)
    if not found[-1].startswith(b"--"):
        raise ValueError("it does not end with its boundary")
    return [_part(piece) for piece in found[:-1]]


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header such as `form-data; name="image"`, by their names in small letters."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header):
        if name.endswith("*"):  # filename*=UTF-8''caf%C3%A9.png
            name, plain = name[:-1], unquote(plain.rpartition("'")[2], errors="replace")
        found[name.lower()] = re.sub(r'\\(["\\])', r"\1", quoted) or plain
    return found


def _part(piece: bytes) -> Part:
    end = piece.find(b"\r\n\r\n", 0, MOST_HEAD)
    if end < 0 or not piece.startswith(b"\r\n"):
        raise ValueError("a part has no end of its headers")
    for line in piece[2:end].decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            said = parameters(value)
            if "name" in said:
                return Part(said["name"], said.get("filename"), piece[end + 4 :])
    raise ValueError("a part has no name")
