"""metrics.jsonl: every event of a training, one a line, in a file that the training process holds locked.

So a second training in the same run directory is refused, and the lock is gone with the process, however it ended.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from engram.core import durable, events, lock
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory

FILE = "metrics.jsonl"
LAST_BYTES = 1 << 20
"""How far from the end of the file its last process is looked for."""

NOT_KEPT = ("progress", "checkpoint")
"""Events for the moment alone, as those are that are marked as live."""


class Recording:
    """An open metrics.jsonl. What is written stands in the file at once, and survives the end of the process."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self.began_at = file.seek(0, os.SEEK_END)

    def __call__(self, event: events.Event) -> None:
        """Write an event; DiskError where the disk refuses it."""
        if event["event"] in NOT_KEPT or event.get("live"):
            return
        # A file's name may hold what is no text; JSON has an escape for it, and it is the one that Python writes.
        line = json.dumps(event, default=_plain, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with durable.telling(self.path, needed=len(line)):
            while line:
                line = line[self.file.write(line) :]

    def cut_back(self, size: int) -> None:
        """Drop what an earlier process wrote after the file had this size: those steps will be taken again."""
        self.file.seek(self.began_at)
        own = self.file.read()
        self.file.truncate(min(size, self.began_at))
        self.began_at = self.file.seek(0, os.SEEK_END)
        self.file.write(own)


@contextmanager
def recording(run: RunDirectory) -> Iterator[Recording]:
    """Within the block, every event is written to the run's metrics.jsonl, and no other process can train there.

    RunError where another one does.
    """
    with _locked(run) as file:
        record = Recording(run / FILE, file)
        record({"event": "process", "pid": os.getpid(), "host": socket.gethostname()})
        with events.listening(record):
            yield record


@contextmanager
def _locked(run: RunDirectory) -> Iterator[IO[bytes]]:
    """Open metrics.jsonl and lock it; again where it was removed between the two."""
    path = run / FILE
    while True:
        with durable.telling(path, needed=0):
            file = open(path, "a+b", buffering=0)  # noqa: SIM115  (closed below)
        with file:
            if not lock.take(file):
                raise _in_use(run, file)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return


def refuse_if_in_use(run: RunDirectory) -> None:
    """RunError where a process trains in the run."""
    if (run / FILE).is_file():
        with open(run / FILE, "r+b") as file:
            if not lock.take(file):
                raise _in_use(run, file)


def _in_use(run: RunDirectory, file: IO[bytes]) -> RunError:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
    told = [line for line in file.read().split(b"\n") if line.startswith(b'{"event": "process"')]
    who = json.loads(told[-1]) if told else {}
    process = f"process {who.get('pid', 'unknown')} on {who.get('host', 'an unknown machine')}"
    return RunError(
        f"expected a run that no other process trains; {run} is being trained by {process}. "
        "Wait for it, stop it (kill -INT), or name another folder with --out."
    )


def _plain(value: Any) -> Any:
    """A path as text; None for data that has no name."""
    if isinstance(value, str | Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else None
