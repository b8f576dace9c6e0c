"""Curves for TensorBoard: the figures of metrics.jsonl, for whoever compares trainings there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from engram.core import events
from engram.core.errors import ConfigError
from engram.train.callbacks.callback import Callback

if TYPE_CHECKING:
    from engram.train.trainer import Trainer

FIGURES = ("loss", "learning_rate", "examples_per_second", "epoch")
"""Of a step; of an evaluation, every score."""


class TensorBoard(Callback):
    """Write what is told of steps and evaluations to `folder` (default: `tensorboard` in the run)."""

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError("expected TensorBoard; it is not installed. pip install 'engram[tensorboard]'") from None
        self._make = SummaryWriter
        self.folder = folder
        self._open = ExitStack()

    def begin(self, trainer: Trainer) -> None:
        """Open the file; what a stopped training had written of steps that are done again is hidden."""
        self._open.close()
        folder = self.folder or (trainer.run / "tensorboard" if trainer.run else "tensorboard")
        self.writer = self._make(str(folder), purge_step=trainer.pace.step + 1 if trainer.pace.step else None)
        self._open.callback(self.writer.close)
        self._open.enter_context(events.listening(self._write))

    def _write(self, event: events.Event) -> None:
        if event["event"] == "step":
            for name in FIGURES:
                self.writer.add_scalar(f"training/{name}", event[name], event["step"])
        elif event["event"] == "evaluated":
            for name, value in event["metrics"].items():
                self.writer.add_scalar(f"validation/{name}", value, event["step"])

    def end(self, trainer: Trainer) -> None:
        """Close the file."""
        self._open.close()
