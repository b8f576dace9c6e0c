"""A corpus: running text in one file or several, without labels.

A file is one document unless it is large: then it is read in consecutive pieces, cut where a paragraph or a line ends.
Of few files, each is divided by position (its end is for the test, as books and logs are); many are divided whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from engram.core.errors import DataError
from engram.data.source import documents
from engram.data.source.documents import Documents, File
from engram.data.source.encodings import WIDTH
from engram.data.source.fingerprint import digest
from engram.data.source.folder import read_folder
from engram.data.source.listing import Listing
from engram.data.source.splits import split_of_file
from engram.data.split import IN_ORDER
from engram.data.table import Table

PIECE = 1 << 16
"""Bytes of a piece, about: long beside what a network sees at once, short beside memory."""

LARGE = 4 * PIECE
MANY = 20
"""From so many files on, whole ones are set aside for validation and test."""

LEAST = 1000
"""Bytes below which a text is not divided."""

MARK = b"<|endoftext|>"
"""Ends a document within a file, by wide custom."""

NEAR = 1024
"""A cut is moved to the end of a paragraph or line so many bytes away at most, of a short text by a fiftieth."""


def read_texts(found: Listing, *, labelled: bool = True) -> Table:
    """Turn a folder of text files into a table: one class a folder, or else a corpus."""
    table = read_folder(found, labelled=labelled)
    paths = [str(path) for path in table.columns["text"].values]
    files = documents.opened(paths)
    table.findings += documents.findings(files, found.root)
    if "label" in table.columns or not labelled:
        table.columns["text"] = documents.column("text", documents.whole(found.root, files))
        return table
    split = table.split if table.split is not None else _splits_of_names(paths)
    return replace(_corpus(found.root, files, split), findings=table.findings)


def read_text_files(paths: Sequence[str], *, origin: str) -> Table:
    """Turn files into a corpus. DataError where one is no text, or empty."""
    files = [documents.sound(path) for path in paths]
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    table = _corpus(root, files, _splits_of_names(paths))
    return replace(table, origin=origin, findings=documents.findings(files, root))


def _splits_of_names(paths: Sequence[str]) -> np.ndarray | None:
    """The splits that file names say (train.txt, wiki.test.tokens), if all of them do."""
    splits = [split_of_file(os.path.basename(path)) for path in paths]
    return np.array(splits, "<U5") if len(paths) > 1 and all(splits) else None


@dataclass(frozen=True)
class _Pieces:
    """Pieces of one file: their bytes, and where in the running text they stand (NaN for what stands alone)."""

    start: np.ndarray
    stop: np.ndarray
    position: np.ndarray
    marked: bool = False


def _corpus(root: str, files: Sequence[File], split: np.ndarray | None) -> Table:
    usable = [number for number, file in enumerate(files) if file.encoding is None or file.size > file.encoding.mark]
    if not usable:
        raise DataError(f"expected texts; the {len(files)} files in {root} are empty. Name others.")
    files, split = [files[number] for number in usable], None if split is None else split[usable]
    running = len(files) < MANY
    pieces = [_pieces(file, running=running) for file in files]
    numbers = np.array([len(some.start) for some in pieces])
    of = np.repeat(np.arange(len(files)), numbers)
    start, stop, position = (np.concatenate([getattr(p, n) for p in pieces]) for n in ("start", "stop", "position"))
    line = np.concatenate([_lines_at(file, some.start) for file, some in zip(files, pieces, strict=True)])
    column = documents.column("text", Documents(root, files, of, start, stop, line))
    whole = running or any(some.marked for some in pieces) or (numbers == 1).all()
    group = None if whole else np.array([documents.named(file, root) for file in files])[of]
    return Table(
        {"text": column}, root, digest("corpus", column.fingerprint), None if split is None else split[of], group,
        [_reason(files, pieces, split)], [], position if np.isfinite(position).any() else None,
    )  # fmt: skip


def _reason(files: Sequence[File], pieces: Sequence[_Pieces], split: np.ndarray | None) -> str:
    size, number = sum(file.size for file in files), sum(len(some.start) for some in pieces)
    said = f"The text without labels is a corpus of {size:,} bytes in {len(files):,} file{'s' * (len(files) > 1)}"
    if any(some.marked for some in pieces):
        said += f", with {number:,} documents that end with {MARK.decode()}"
    elif number > len(files):
        said += f", read in {number:,} consecutive pieces"
    if split is not None:
        return f"{said}; {', '.join(sorted(set(split.tolist())))} are given splits."
    ordered = any(np.isfinite(some.position).any() for some in pieces)
    return f"{said}; its end is set aside for validation and test." if ordered else f"{said}."


def _pieces(file: File, *, running: bool) -> _Pieces:
    """The documents between the marks of a file, or else its consecutive pieces, or all of it."""
    if file.encoding is None or not (running or file.size > LARGE):
        return _Pieces(np.array([documents.begin(file)]), np.array([file.size]), np.array([np.nan]))
    if len(ends := _marks(file)):
        start = np.concatenate([[documents.begin(file)], ends])
        stop = np.concatenate([ends - len(MARK), [file.size]])
        kept = stop - start > 1
        return _Pieces(start[kept], stop[kept], np.full(kept.sum(), np.nan), marked=True)
    cut = _cuts(file, running=running)
    return _Pieces(cut[:-1], cut[1:], _positions(cut) if running else np.full(len(cut) - 1, np.nan))


def _cuts(file: File, *, running: bool) -> np.ndarray:
    """Where pieces of a file begin, and its end; where texts are divided by position, also at those positions."""
    begin = documents.begin(file)
    length = file.size - begin
    edges = [0.0, *(IN_ORDER.values() if running and length >= LEAST else ()), 1.0]
    targets = [begin]
    for low, high in pairwise(edges):
        number = max(1, round((high - low) * length / PIECE)) if length > LARGE else 1
        targets += [begin + round(length * (low + (high - low) * part / number)) for part in range(1, number + 1)]
    with open(file.path, "rb", buffering=0) as opened:
        inner = [_moved(opened.fileno(), target, file) for target in targets[1:-1]]
    return np.unique(np.array([begin, *inner, file.size], np.int64))


def _positions(cut: np.ndarray) -> np.ndarray:
    """Where pieces begin in their file, 0 to 1 (a cut that was moved: where it was meant); NaN for a whole file."""
    if len(cut) == 2:
        return np.array([np.nan])
    length = cut[-1] - cut[0]
    position = (cut[:-1] - cut[0]) / length
    for edge in IN_ORDER.values():
        nearest = np.argmin(np.abs(position - edge))
        position[nearest] = edge if abs(position[nearest] - edge) * length <= _near(length) + 4 else position[nearest]
    return position


def _near(length: int) -> int:
    """How far a cut is moved at most."""
    return min(NEAR, length // 50)


def _moved(descriptor: int, target: int, file: File) -> int:
    """Move a cut to the nearest end of a paragraph, line or word; else to the next character."""
    assert file.encoding is not None, "what is cut is a text"
    width = WIDTH.get(file.encoding.name, 1)
    near = max(8, _near(file.size))
    begin = max(documents.begin(file), target - near)
    begin -= (begin - documents.begin(file)) % width
    around = os.pread(descriptor, 2 * near, begin)
    for sign in ("\n\n", "\r\n\r\n", "\n", " "):
        found = _after_each(around, sign.encode(file.encoding.name), width)
        if len(found):
            return int(begin + found[np.argmin(np.abs(found - (target - begin)))])
    target -= (target - begin) % width
    while _inside(around[target - begin : target - begin + width], file.encoding.name):
        target -= width
    return target


def _inside(unit: bytes, encoding: str) -> bool:
    """Whether a unit, such as a byte of UTF-8, goes on with the character before it."""
    if not unit:
        return False
    if encoding == "utf-8":
        return unit[0] & 0xC0 == 0x80
    surrogate = unit[encoding == "utf-16-le"] if encoding in ("utf-16-le", "utf-16-be") else 0
    return 0xDC <= surrogate <= 0xDF


def _after_each(content: bytes, sign: bytes, width: int) -> np.ndarray:
    """Positions behind each occurrence of a sign that stands on whole units."""
    found, at = [], content.find(sign)
    while at >= 0:
        if at % width == 0:
            found.append(at + len(sign))
        at = content.find(sign, at + 1)
    return np.array(found, np.int64)


def _lines_at(file: File, starts: np.ndarray) -> np.ndarray:
    """The number of the line in which each position stands, from 1."""
    if len(starts) == 1:
        return np.ones(1, np.int64)
    counts, known = np.zeros(len(starts), np.int64), 0
    for at, chunk in documents.chunks(file.path):
        inside = np.flatnonzero((starts >= at) & (starts < at + len(chunk)))
        before = 0
        for number in inside.tolist():
            here = int(starts[number]) - at
            known += chunk.count(b"\n", before, here)
            counts[number], before = known, here
        known += chunk.count(b"\n", before)
    return counts + 1


def _marks(file: File) -> np.ndarray:
    """Where documents end by their mark (behind it), if the file has such marks."""
    if file.encoding is None or file.encoding.name in WIDTH:
        return np.zeros(0, np.int64)
    found: list[int] = []
    rest = b""
    for at, chunk in documents.chunks(file.path):
        joined = rest + chunk
        found += [at - len(rest) + place for place in _after_each(joined, MARK, 1).tolist()]
        rest = joined[-(len(MARK) - 1) :]
    return np.array(found, np.int64)
