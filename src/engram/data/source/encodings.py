"""Encodings: which one a text is in, found from its bytes, so that it is read right whoever saved it.

UTF-8 is the rule. UTF-16 and UTF-32 are known by their mark or their zeros. What is none of these and mostly plain
letters is Windows-1252, Western Europe's; anything else is refused rather than read wrong.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

from engram.core.errors import DataError
from engram.core.evidence import Finding

CHUNK = 1 << 22
"""Bytes looked at together: memory stays flat."""

_MARKS = (  # UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b")
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_HIGH = bytes(range(128, 256))
_UNDEFINED = b"\x81\x8d\x8f\x90\x9d"
"""Bytes that mean nothing in Windows-1252."""

BINARY = 0.02
"""No text has this share of control characters."""

FOREIGN = 0.3
"""In Western European text accented letters are a smaller share of all: beyond it lies another encoding."""

WIDTH = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
"""Bytes of a unit, where it is more than one."""

_NAMES = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}
SHOWN = 20


class NoTextError(DataError):
    """What was to be read as text is something else."""


@dataclass(frozen=True)
class Encoding:
    """How a text was saved. mark: bytes of its byte order mark. damaged: bytes that mean nothing. zeros: NUL bytes."""

    name: str = "utf-8"
    mark: int = 0
    damaged: int = 0
    zeros: int = 0

    def decode(self, content: bytes) -> str:
        """Return bytes as text: what means nothing becomes U+FFFD, NUL characters go, lines end with one character."""
        text = content.decode(self.name, "replace")
        if self.zeros:
            text = text.replace("\0", "")
        return text.replace("\r\n", "\n") if "\r" in text else text

    @property
    def said(self) -> str:
        """What is unusual about it, as a clause; empty for plain UTF-8."""
        named = _NAMES.get(self.name, self.name.upper().removesuffix("-LE").removesuffix("-BE"))
        parts = [f"in {named}"] if self.name != "utf-8" else ["with a byte order mark"] if self.mark else []
        parts += [f"with {self.damaged:,} bytes that mean nothing in it"] if self.damaged else []
        return " and ".join([*parts, *([f"with {self.zeros:,} NUL bytes"] if self.zeros else [])])


@dataclass
class _Seen:
    """Counts over a text, chunk by chunk."""

    total: int = 0
    controls: int = 0
    zeros: int = 0
    high: int = 0
    letters: int = 0
    undefined: int = 0
    beyond: int = 0
    damaged: int = 0


def of_content(content: bytes, *, name: str) -> Encoding:
    """Find the encoding of a text held in memory; see `of_file`."""
    return _found((content[at : at + CHUNK] for at in range(0, len(content), CHUNK)), name=name)


def of_file(path: str) -> Encoding:
    """Find the encoding of a file. DataError where it is no text, or in no encoding that can be told."""
    with open(path, "rb") as file:
        return _found(iter(lambda: file.read(CHUNK), b""), name=path)


def _found(chunks: Iterable[bytes], *, name: str) -> Encoding:
    seen, utf8, marked = _Seen(), codecs.getincrementaldecoder("utf-8")("replace"), None
    for chunk in chunks:
        if not seen.total:
            marked = next(((mark, encoding) for mark, encoding in _MARKS if chunk.startswith(mark)), None)
            if marked and marked[1] in WIDTH:
                return Encoding(marked[1], len(marked[0]))
            if wide := _without_mark(chunk):
                return Encoding(wide)
        _count(chunk, seen, utf8)
    seen.damaged += utf8.decode(b"", final=True).count("\ufffd")
    return _judged(seen, 0 if marked is None else len(marked[0]), name)


def _without_mark(chunk: bytes) -> str | None:
    """UTF-16 of Latin letters has a zero in every second byte, on one side."""
    even, odd = chunk[0:4096:2].count(0), chunk[1:4096:2].count(0)
    half = min(len(chunk), 4096) // 2
    if half < 4 or max(even, odd) < 0.4 * half or min(even, odd) > 0.05 * half:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _count(chunk: bytes, seen: _Seen, utf8: codecs.IncrementalDecoder) -> None:
    seen.total += len(chunk)
    seen.controls += len(chunk) - len(chunk.translate(None, _CONTROLS))
    seen.zeros += chunk.count(0)
    if chunk.isascii() and not utf8.getstate()[0]:
        return
    text = utf8.decode(chunk)
    if chunk.isascii():
        seen.damaged += text.count("\ufffd")  # a sequence that the chunk before had begun
        return
    bad = text.count("\ufffd") - chunk.count("\ufffd".encode())
    seen.damaged += bad
    seen.beyond += len(text) - len(text.encode("ascii", "ignore")) - bad
    seen.high += len(chunk) - len(chunk.translate(None, _HIGH))
    seen.letters += len(chunk) - len(chunk.translate(None, _LETTERS))
    seen.undefined += len(chunk) - len(chunk.translate(None, _UNDEFINED))


def _judged(seen: _Seen, mark: int, name: str) -> Encoding:
    if seen.controls > BINARY * seen.total:
        raise NoTextError(
            f"expected a text; {name} is none: {seen.controls / seen.total:.0%} of its bytes are control characters. "
            "Name another file, or save it as text in UTF-8."
        )
    if seen.damaged <= 0.25 * seen.beyond:
        return Encoding("utf-8", mark, seen.damaged, seen.zeros)
    if seen.high > FOREIGN * (seen.high + seen.letters):
        raise DataError(
            f"expected text in UTF-8; {name} is in another encoding, which cannot be told from its bytes. "
            "Save it as UTF-8 (iconv -f ENCODING -t UTF-8)."
        )
    return Encoding("latin-1" if seen.undefined else "cp1252", 0, 0, seen.zeros)


def findings(encodings: Iterable[tuple[str, Encoding]]) -> list[Finding]:
    """Name the files (by name) that are not plain UTF-8, and say how they were read: by certainty, or by a guess."""
    odd = [(name, encoding) for name, encoding in encodings if encoding.said]
    sure = [f"{name}: {e.said}" for name, e in odd if e.name not in _NAMES and not e.damaged and not e.zeros]
    rest = [f"{name}: {e.said}" for name, e in odd if e.name in _NAMES or e.damaged or e.zeros]
    found = []
    if sure:
        message = f"{len(sure):,} files are text in another form than plain UTF-8 and are read as such"
        found.append(Finding("info", "encoding", message, tuple(sure[:SHOWN])))
    if rest:
        message = f"{len(rest):,} files are not sound UTF-8 and are read as well as can be; nothing is changed in them"
        fix = "look at some texts; if letters are wrong, save the files as UTF-8"
        found.append(Finding("warning", "wrong_encoding", message, tuple(rest[:SHOWN]), fix))
    return found
