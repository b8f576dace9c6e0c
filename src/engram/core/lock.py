"""One at a time: a lock on an open file, which the kernel gives back when the process ends, however it ends."""

from __future__ import annotations

import sys
from typing import IO

from engram.core import events


def take(file: IO[bytes]) -> bool:
    """Lock a file open for writing until it is closed; False where another process, or part of this one, holds it.

    Where the file system knows no locks, this is told, and the file counts as locked.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        events.warn(f"{file.name} cannot be locked ({error.strerror}): see to it that nothing else writes there.")
    return True
