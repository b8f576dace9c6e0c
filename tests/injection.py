"""Let the n-th call by which a process changes files go wrong: it dies there, or the disk refuses.

Only what this project does through Python is seen: opening, writing, flushing to disk, renaming, removing, making.
"""

from __future__ import annotations

import builtins
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CALLS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "truncate")


class File:
    """A file open for writing; each write is one call, of which half may reach the file."""

    def __init__(self, file, injected):
        self._file, self._injected = file, injected

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def write(self, content):
        half = content[: len(content) // 2]
        return self._injected(self._file.write, content, torn=lambda: (self._file.write(half), self._file.flush()))

    def flush(self):
        self._file.flush()


class Injected:
    """Counts calls; does `wrong` in place of the one of that number, or after it where `after` is set."""

    def __init__(self, number: int, wrong: Callable[[], None], *, after: bool) -> None:
        self.number, self.wrong, self.after = number, wrong, after
        self.count = 0

    def __call__(self, call, *arguments, torn=None, **named):
        self.count += 1
        chosen = self.count == self.number
        if chosen and not self.after:
            if torn is not None:
                torn()
            self.wrong()
        try:
            return call(*arguments, **named)
        finally:
            if chosen and self.after:
                self.wrong()


@contextmanager
def injected(number: int, wrong: Callable[[], None], *, after: bool = False) -> Iterator[Injected]:
    """Within the block, let the call of that number go wrong."""
    state = Injected(number, wrong, after=after)
    originals = {name: getattr(os, name) for name in CALLS}
    opened = builtins.open

    def open_counted(file, mode="r", *arguments, **named):
        made = opened(file, mode, *arguments, **named)
        return File(made, state) if set(mode) & set("wxa+") else made

    try:
        builtins.open = open_counted
        for name, original in originals.items():
            setattr(os, name, lambda *a, _call=original, **k: state(_call, *a, **k))
        yield state
    finally:
        builtins.open = opened
        for name, original in originals.items():
            setattr(os, name, original)


def dying_at(number: int, work: Callable[[], None], *, after: bool) -> bool:
    """Do some work in a process of its own that is killed at the call of that number; whether it was."""
    pid = os.fork()
    if pid == 0:
        try:
            with injected(number, lambda: os.kill(os.getpid(), signal.SIGKILL), after=after):
                work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)
