"""Save now and then, and at once when asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engram.core.errors import Stopped
from engram.core.events import emit
from engram.train import checkpoint
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer


class Checkpointing(Callback):
    """Save every `seconds`; after a stop signal save after the running step and raise `Stopped`."""

    def __init__(self, *, seconds: float = 30.0) -> None:
        self.interval = seconds
        self.last = time.monotonic()
        self.signal: int | None = None

    def begin(self, trainer: Trainer) -> None:
        """Start counting when training does."""
        self.last = time.monotonic()

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Save where it is time."""
        if self.signal is not None:
            self._save(trainer)
            raise Stopped(
                f"Stopped at step {trainer.pace.step} of {trainer.pace.steps}; everything is saved. "
                f"Go on with: engram train --resume {trainer.run}",
                exit_code=128 + self.signal,
            )
        if time.monotonic() - self.last > self.interval and not trainer.pace.finished:
            self._save(trainer)

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Within the block, the first Ctrl-C or SIGTERM asks for a stop after the running step; a second is at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        caught = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {number: signal.signal(number, self._ask) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def _save(self, trainer: Trainer) -> None:
        path = checkpoint.save(trainer.run, trainer.checkpoint())
        self.last = time.monotonic()
        emit("checkpoint", step=trainer.pace.step, path=str(path))
