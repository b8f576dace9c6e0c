"""Documents: texts in files, whole, in pieces or line by line, read when they are asked for.

However large the files are, memory holds where each text begins and ends, and the one that is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.core.evidence import Finding
from engram.data.source import encodings
from engram.data.source.encodings import CHUNK, WIDTH, Encoding
from engram.data.source.fingerprint import digest, of_files
from engram.data.table import Column, Lazy


@dataclass(frozen=True)
class File:
    """A file of text as it was found. encoding: None where it cannot be read as text, for the `reason`."""

    path: str
    size: int
    time: int
    encoding: Encoding | None
    reason: str = ""


@dataclass
class Documents(Lazy):
    """Texts of files. of: number of each text's file. start, stop: its bytes there.

    line: the number of the line where each begins, from 1; None for whole files, which are named by themselves.
    single: whether each text is one line, which is then read without its end.
    """

    root: str
    files: Sequence[File]
    of: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    line: np.ndarray | None = None
    single: bool = False
    _kept: tuple[int, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, row: Any) -> Any:
        """Return a text, or the list of those of a slice. DataError where the file is no text, or has changed."""
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        file = self.files[self.of[row]]
        if file.encoding is None:
            raise DataError(file.reason)
        start, stop = int(self.start[row]), int(self.stop[row])
        content = os.pread(self._opened(int(self.of[row])).fileno(), stop - start, start)
        if len(content) < stop - start:
            raise DataError(f"{file.path} has become shorter while it was read. Begin again")
        text = file.encoding.decode(content)
        return text.rstrip("\n") if self.single else text

    def _opened(self, number: int) -> Any:
        """The file of that number, which stays open until another one is asked for."""
        kept = self._kept
        if kept is None or kept[0] != number:
            try:
                kept = self._kept = (number, open(self.files[number].path, "rb", buffering=0))  # noqa: SIM115
            except OSError as error:
                raise DataError(f"{self.files[number].path} cannot be opened any more ({error.strerror})") from None
        return kept[1]

    def where(self, row: int) -> str:
        """Name a text by its file, and by the line where it begins."""
        name = self._names[self.of[row]]
        return name if self.line is None else f"{name}:{self.line[row]}"

    @cached_property
    def _names(self) -> list[str]:
        return [named(file, self.root) for file in self.files]

    def take(self, rows: np.ndarray) -> Documents:
        """Return some of the texts."""
        line = None if self.line is None else self.line[rows]
        return replace(self, of=self.of[rows], start=self.start[rows], stop=self.stop[rows], line=line)


def column(name: str, documents: Documents) -> Column:
    """Return the column of some documents. Its fingerprint covers paths relative to the root, sizes and times."""
    stamps = of_files((os.path.relpath(f.path, documents.root or "."), f.size, f.time) for f in documents.files)
    parts = [part.tobytes() for part in (documents.of, documents.start, documents.stop)]
    return Column(name, documents, "text", digest("documents", stamps, *parts))


def opened(paths: Sequence[str]) -> list[File]:
    """Look at files: how they are encoded, and which are no texts."""
    return [_opened(path) for path in paths]


def _opened(path: str) -> File:
    try:
        return sound(path, empty=True)
    except DataError as error:
        return File(path, 0, 0, None, str(error))


def sound(path: str, *, empty: bool = False) -> File:
    """Look at one file. DataError where it is no text, or empty, unless it may be."""
    try:
        status, encoding = os.stat(path), encodings.of_file(path)
    except OSError as error:
        raise DataError(f"expected a text; {path} cannot be opened ({error.strerror}). Check it.") from None
    if status.st_size <= encoding.mark and not empty:
        raise DataError(f"expected a text; {path} is empty. Name another file.")
    return File(path, status.st_size, status.st_mtime_ns, encoding)


def whole(root: str, files: Sequence[File]) -> Documents:
    """One text a file."""
    start = np.array([0 if file.encoding is None else file.encoding.mark for file in files], np.int64)
    stop = np.array([file.size for file in files], np.int64)
    return Documents(root, files, np.arange(len(files)), start, stop)


def lines(root: str, files: Sequence[File]) -> Documents:
    """One text a line, of one file after the other."""
    of, start, stop, line = [], [], [], []
    for number, file in enumerate(files):
        ends = _line_ends(file)
        of.append(np.full(len(ends), number))
        start.append(np.concatenate([[begin(file)], ends[:-1]]).astype(np.int64))
        stop.append(ends)
        line.append(np.arange(1, len(ends) + 1))
    whole_of, whole_start, whole_stop, whole_line = (np.concatenate(part) for part in (of, start, stop, line))
    return Documents(root, files, whole_of, whole_start, whole_stop, whole_line, single=True)


def begin(file: File) -> int:
    """Where the text begins: behind its byte order mark."""
    return file.encoding.mark if file.encoding else 0


def _line_ends(file: File) -> np.ndarray:
    """Where lines end, the sign that ends them counted; what follows the last one is a line too."""
    assert file.encoding is not None, "files of lines are sound"
    width = WIDTH.get(file.encoding.name, 1)
    sign = int.from_bytes("\n".encode(file.encoding.name), "little")
    found = [np.zeros(0, np.int64)]
    for at, chunk in chunks(file.path):
        units = np.frombuffer(chunk[: len(chunk) // width * width], f"<u{width}")
        found.append(at + width * (np.flatnonzero(units == sign) + 1))
    ends = np.concatenate(found)
    last = ends[-1] if len(ends) else begin(file)
    return np.concatenate([ends, [file.size]]) if last < file.size else ends


def chunks(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield (position, bytes) of a file, piece by piece."""
    with open(path, "rb") as file:
        at = 0
        while chunk := file.read(CHUNK):
            yield at, chunk
            at += len(chunk)


def named(file: File, root: str) -> str:
    """A file's name for the user."""
    return os.path.relpath(file.path, root or ".")


def findings(files: Sequence[File], root: str) -> list[Finding]:
    """What is unusual about the encodings of files; those that are no texts are rows that cannot be read."""
    return encodings.findings((named(file, root), file.encoding) for file in files if file.encoding is not None)
