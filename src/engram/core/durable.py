"""Bytes that stay: files written so that a crash at any moment leaves the old content or the new, never half of one.

What a disk refuses (no room, read-only, no permission) becomes one error that names path, needed and free bytes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engram.core.errors import DiskError
from engram.core.units import format_bytes


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new. DiskError where the disk refuses it."""
    temporary = path.with_name(path.name + ".tmp")
    with telling(path, needed=len(content)):
        try:
            write_new(temporary, content)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk. What had the name before goes, and no link is followed."""
    path.unlink(missing_ok=True)
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def append(path: Path, content: bytes) -> None:
    """Add to a file's end and wait until it is on disk. DiskError where the disk refuses it."""
    with telling(path, needed=len(content)):
        new = not path.exists()
        with open(path, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(path.parent)


def sync(path: Path) -> int:
    """Wait until all of a file is on disk, and return its size. DiskError where the disk refuses it."""
    with telling(path, needed=0), open(path, "rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def make_folder(path: Path) -> None:
    """Make a folder, and wait until its name is on disk."""
    if not path.is_dir():
        path.mkdir()
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def telling(path: Path, *, needed: int) -> Iterator[None]:
    """Within the block, what the system refuses to write becomes a DiskError."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"expected to write {path}; the system refused it ({error.strerror or error}). "
            f"It needs {_exactly(needed)}; free on its disk are {_exactly(free_bytes(path))}."
        ) from error


def check_room(path: Path, needed: int) -> None:
    """DiskError where the disk that holds `path` has less free than `needed` bytes."""
    free = free_bytes(path)
    if free < needed:
        raise DiskError(
            f"expected room for {path} on its disk; it needs {_exactly(needed)}; free are {_exactly(free)}. "
            "Make room, or train on another disk."
        )


def free_bytes(path: Path) -> int:
    """Bytes that may still be written to the disk that holds, or will hold, `path`."""
    standing = next((p for p in (path, *path.absolute().parents) if p.exists()), Path())
    return shutil.disk_usage(standing).free


def _exactly(number: int) -> str:
    return f"{format_bytes(number)} ({number} bytes)" if number >= 1024 else f"{number} bytes"
