"""One at a time: a lock on an open file, which the kernel gives back when the process ends, however it ends."""

from __future__ import annotations

import sys
from typing import IO


def take(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another process, or another thread of this one, holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
