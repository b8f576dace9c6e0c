"""Save now and then, and at once when asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from engram.core import durable
from engram.core.checkpoints import numbered
from engram.core.errors import Interrupted, Stopped
from engram.core.events import emit
from engram.core.rundir import RunDirectory
from engram.train import checkpoint
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer


class Checkpointing(Callback):
    """Save at the start, every `seconds` and after the last step; on a stop signal save and raise `Stopped`.

    The first checkpoint holds what training begins with, weights that were taken from elsewhere included.
    """

    def __init__(self, run: RunDirectory, *, seconds: float = 30.0) -> None:
        self.run = run
        self.interval = seconds
        self.last = time.monotonic()
        self.signal: int | None = None
        self.over = False
        self.trainer: Trainer | None = None

    def begin(self, trainer: Trainer) -> None:
        """Save what training begins with, and start counting."""
        if trainer.pace.step == 0 and not numbered(self.run):
            self.save(trainer)
        self.last, self.over, self.trainer = time.monotonic(), trainer.pace.finished, trainer

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Save where it is time."""
        asked, due = self.signal is not None, time.monotonic() - self.last > self.interval
        if asked or due or trainer.pace.finished:
            self.save(trainer)
        self.over = trainer.pace.finished
        if asked:
            self._stop(f"Stopped at step {trainer.pace.step} of {trainer.pace.steps}")

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Within the block, the first Ctrl-C or SIGTERM asks for a stop after the running step; a second is at once.

        After the last step, when everything is saved, the first is at once too.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        caught = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            caught.append(signal.SIGHUP)  # ignored under nohup, as the user wanted
        before = {number: signal.signal(number, self._ask) for number in caught}
        try:
            yield
        except Interrupted as asked:
            if not self.over:
                raise
            self.signal = asked.number
            self._stop("Stopped after the last step")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, when: str) -> NoReturn:
        assert self.signal is not None
        number, self.signal = self.signal, None
        message = f"{when}; everything is saved. Go on with: engram train --resume {self.run}"
        raise Stopped(message, exit_code=128 + number)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None or self.over:
            raise Interrupted(number)
        self.signal = number
        if self.trainer is not None:
            self.trainer.stopping = True

    def save(self, trainer: Trainer) -> None:
        """Save where training stands, and up to where metrics.jsonl tells of it."""
        kept, record = trainer.checkpoint(), self.run / "metrics.jsonl"
        kept.facts["recorded"] = durable.sync(record) if record.exists() else 0
        path = checkpoint.save(self.run, kept)
        self.last = time.monotonic()
        emit("checkpoint", step=trainer.pace.step, path=str(path))
