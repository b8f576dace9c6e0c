"""What lies below a folder: every file with its size and time, one call of the system per file, none opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from engram.core.errors import DataError
from engram.core.evidence import Finding


@dataclass(frozen=True)
class Kind:
    """Files that are one example each. column: what the column of them is called. one, many: how messages name them.

    extensions: by which they are known, in lower case and without the dot. unread: those of the same kind that cannot
    be read, and what to do about them. plain: names of folders that say only that such files are in it.
    about: names of files that are like them and tell of the data.
    """

    column: str
    one: str
    many: str
    extensions: frozenset[str]
    unread: frozenset[str]
    convert: str
    plain: frozenset[str]
    about: frozenset[str] = frozenset()

    def holds(self, name: str) -> bool:
        """Tell by its name alone whether a file is of this kind."""
        stem, dot, extension = name.rpartition(".")
        return bool(dot) and extension.lower() in self.extensions and stem.lower() not in self.about


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PICTURES = Kind(
    "image",
    "picture",
    "pictures",
    _words("jpg jpeg jpe jfif png apng webp bmp dib tif tiff gif pgm ppm pbm pnm dcm dicom"),
    _words("heic heif avif jxl jp2 raw cr2 nef arw dng svg psd webm mp4"),
    "convert them to JPEG or PNG",
    _words("image images img imgs picture pictures photo photos"),
)
TEXTS = Kind(
    "text",
    "text file",
    "text files",
    _words("txt text"),
    _words("pdf doc docx odt rtf epub mobi"),
    "save them as .txt in UTF-8",
    _words("text texts txt doc docs document documents corpus data raw"),
    _words("readme license licence copying notice changelog authors citation"),
)
MARKED_UP = replace(TEXTS, extensions=_words("md markdown rst tex org"))
"""Texts too, where no plain ones are: a README.md beside them only tells of them."""

_JUNK = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "lost+found"})


def is_picture(name: str) -> bool:
    """Tell by the extension alone whether a file name is a picture's."""
    return PICTURES.holds(name)


def is_junk(name: str) -> bool:
    """Tell whether a file or folder is hidden or left behind by an operating system."""
    return name.startswith(".") or name.lower() in _JUNK


@dataclass
class Folder:
    """One folder's own files, sorted by name. `parts`: the folder names from the root down to it.

    files: those of the kind that was looked for, with `sizes` and `times`; others: the names of the rest.
    """

    parts: tuple[str, ...]
    files: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def relative(self, name: str) -> str:
        """Return a file's path relative to the root, with slashes."""
        return "/".join((*self.parts, name))


@dataclass
class Listing:
    """All folders below a root, each before the folders in it, sorted; and what could not be followed."""

    root: str
    folders: list[Folder] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    kind: Kind = PICTURES

    @property
    def empty(self) -> bool:
        """Whether no file of the kind is there."""
        return not any(folder.files for folder in self.folders)

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield (relative path, size in bytes, modification time in nanoseconds) of every file of the kind."""
        for folder in self.folders:
            prefix = "/".join((*folder.parts, ""))
            for name, size, time in zip(folder.files, folder.sizes, folder.times, strict=True):
                yield prefix + name, size, time


@dataclass
class _Place:
    """A folder still to be listed. `ancestors`: device and inode of every folder from the root to it."""

    path: str
    parts: tuple[str, ...]
    ancestors: tuple[tuple[int, int], ...]


@dataclass
class _Walk:
    """Where a walk has been, and what it could not follow."""

    waiting: list[_Place]
    kind: Kind
    linked: set[tuple[int, int]] = field(default_factory=set)
    loops: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def listing(root: str, kind: Kind = PICTURES) -> Listing:
    """List a folder and everything below it, files of one kind apart from the others.

    Links are followed, but none in a circle.

    DataError where the root itself cannot be listed; folders below that cannot are findings.
    """
    try:
        status = os.stat(root)
        os.scandir(root).close()
    except OSError as error:
        raise DataError(f"expected a folder that can be read; {root} cannot ({error.strerror}). Check it.") from None
    walk = _Walk([_Place(root, (), ((status.st_dev, status.st_ino),))], kind)
    folders = []
    while walk.waiting:
        place = walk.waiting.pop()
        try:
            folders.append(_list(place, walk))
        except OSError:
            walk.closed.append(place.path)
    return Listing(root, folders, list(_findings(walk)), kind)


def _findings(walk: _Walk) -> Iterator[Finding]:
    if walk.loops:
        message = "links to folders that are read already were not followed"
        yield Finding("info", "link_loop", message, tuple(walk.loops))
    if walk.broken:
        message = f"{len(walk.broken)} links lead nowhere and were left out"
        yield Finding("warning", "broken_link", message, tuple(walk.broken), "mend or remove them")
    if walk.closed:
        message = f"{len(walk.closed)} folders could not be opened and were left out"
        yield Finding("warning", "closed_folder", message, tuple(walk.closed), "check their permissions")


def _list(place: _Place, walk: _Walk) -> Folder:
    with os.scandir(place.path) as iterator:
        entries = sorted((entry for entry in iterator if not is_junk(entry.name)), key=lambda entry: entry.name)
    folder, inner = Folder(place.parts), []
    for entry in entries:
        if _is_folder(entry):
            inner.append(entry)
        else:
            _add(entry, folder, walk)
    for entry in reversed(inner):
        _queue(entry, place, walk)
    return folder


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: the folder that holds it can be read all the same
        return False


def _queue(entry: os.DirEntry[str], place: _Place, walk: _Walk) -> None:
    status = entry.stat()
    identity = (status.st_dev, status.st_ino)
    if entry.is_symlink():
        # A folder is entered through links once at most: links that cross each other would otherwise multiply.
        if identity in place.ancestors or identity in walk.linked:
            walk.loops.append(entry.path)
            return
        walk.linked.add(identity)
    walk.waiting.append(_Place(entry.path, (*place.parts, entry.name), (*place.ancestors, identity)))


def _add(entry: os.DirEntry[str], folder: Folder, walk: _Walk) -> None:
    if not walk.kind.holds(entry.name):
        folder.others.append(entry.name)
        return
    try:
        status = entry.stat()
    except OSError:
        walk.broken.append(entry.path)
        return
    if stat.S_ISREG(status.st_mode):
        folder.files.append(entry.name)
        folder.sizes.append(status.st_size)
        folder.times.append(status.st_mtime_ns)
    else:
        # Reading a pipe or a device would wait for ever.
        folder.others.append(entry.name)
