"""A corpus: running text in one file or several, without labels.

A file is one document unless it is large: then it is read in consecutive pieces, cut where a paragraph or a line ends.
Of few files, each is divided by position (its end is for the test, as books and logs are); many are divided whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
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
"""A cut is moved to the end of a paragraph or line so many bytes away at most."""


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
    table = _corpus(root, files, _splits_of_names(paths) if len(paths) > 1 else None)
    return replace(table, origin=origin, findings=documents.findings(files, root))


def _splits_of_names(paths: Sequence[str]) -> np.ndarray | None:
    """The splits that file names say (train.txt, wiki.test.tokens), if all of them do."""
    splits = [split_of_file(os.path.basename(path)) for path in paths]
    return np.array(splits, "<U5") if len(paths) > 1 and all(splits) else None


def _corpus(root: str, files: Sequence[File], split: np.ndarray | None) -> Table:
    usable = [number for number, file in enumerate(files) if file.encoding is None or file.size > file.encoding.mark]
    if not usable:
        raise DataError(f"expected texts; the {len(files)} files in {root} are empty. Name others.")
    files, split = [files[number] for number in usable], None if split is None else split[usable]
    running = len(files) < MANY
    cuts = [_cuts(file, running=running) for file in files]
    marked = [_marks(file) if len(files) == 1 else np.zeros(0, np.int64) for file in files]
    if len(marked[0]):
        return _of_marks(root, files[0], marked[0])
    of = np.repeat(np.arange(len(files)), [len(cut) - 1 for cut in cuts])
    start, stop = np.concatenate([cut[:-1] for cut in cuts]), np.concatenate([cut[1:] for cut in cuts])
    line = np.concatenate([_lines_at(file, cut[:-1]) for file, cut in zip(files, cuts, strict=True)])
    column = documents.column("text", Documents(root, files, of, start, stop, line))
    sole = np.array([len(cut) == 2 for cut in cuts])
    position = np.concatenate([_positions(cut) for cut in cuts]) if running else None
    group = np.array([documents.named(file, root) for file in files])[of] if not running and not sole.all() else None
    return Table(
        {"text": column}, root, digest("corpus", column.fingerprint), None if split is None else split[of], group,
        [_reason(files, len(of), split, running)], [], position,
    )  # fmt: skip


def _reason(files: Sequence[File], pieces: int, split: np.ndarray | None, running: bool) -> str:
    size = sum(file.size for file in files)
    said = f"The text without labels is a corpus of {size:,} bytes in {len(files):,} file{'s' * (len(files) > 1)}"
    said += f", read in {pieces:,} consecutive pieces" if pieces > len(files) else ""
    if split is not None:
        return f"{said}; {', '.join(sorted(set(split.tolist())))} are given splits."
    return f"{said}; its end is set aside for validation and test." if running and pieces > len(files) else f"{said}."


def _cuts(file: File, *, running: bool) -> np.ndarray:
    """Where pieces of a file begin, and its end; where texts are divided by position, also at those positions."""
    begin = documents.begin(file)
    length = file.size - begin
    edges = {0.0, 1.0}
    if file.encoding is not None and running and length >= LEAST:
        edges |= set(IN_ORDER.values())
    if file.encoding is None or (length <= LARGE and len(edges) == 2):
        return np.array([begin, file.size], np.int64)
    ranked = sorted(edges)
    targets = [begin]
    for low, high in pairwise(ranked):
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
        position[nearest] = edge if abs(position[nearest] - edge) * length <= NEAR + 4 else position[nearest]
    return position


def _moved(descriptor: int, target: int, file: File) -> int:
    """Move a cut to the nearest end of a paragraph, line or word; else to the next character."""
    assert file.encoding is not None, "what is cut is a text"
    width = WIDTH.get(file.encoding.name, 1)
    begin = max(documents.begin(file), target - NEAR)
    begin -= (begin - documents.begin(file)) % width
    around = os.pread(descriptor, 2 * NEAR, begin)
    for sign in ("\n\n", "\r\n\r\n", "\n", " "):
        found = _after_each(around, sign.encode(file.encoding.name), width)
        if len(found):
            return int(begin + found[np.argmin(np.abs(found - (target - begin)))])
    target -= (target - begin) % width
    while file.encoding.name == "utf-8" and target < file.size and around[target - begin] & 0xC0 == 0x80:
        target -= 1
    return target


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


def _of_marks(root: str, file: File, ends: np.ndarray) -> Table:
    """One document between two marks; blank ones are none."""
    start = np.concatenate([[documents.begin(file)], ends])
    stop = np.concatenate([ends - len(MARK), [file.size]])
    kept = stop - start > 1
    start, stop = start[kept], stop[kept]
    of = np.zeros(len(start), np.int64)
    column = documents.column("text", Documents(root, [file], of, start, stop, _lines_at(file, start)))
    note = f"The text holds {len(start):,} documents, each ended by {MARK.decode()}."
    return Table({"text": column}, root, digest("corpus", column.fingerprint), None, None, [note])
