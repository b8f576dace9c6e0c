"""Tell how training goes: some hundred steps that are kept, the same ones however often it is stopped, and more live.

What is kept depends on nothing that a clock says, so that a resumed training writes the metrics of one that was not
stopped; only the times differ.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engram.core.events import emit
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

if TYPE_CHECKING:
    from torch import Tensor

INTERVAL = 0.2
"""Least seconds between two live events."""

PARTS = 500
"""A step is kept at the end of each of so many parts of the way."""


class Reporting(Callback):
    """Emit "step" events with the mean loss since the last one that was kept. Those with `live` are not kept."""

    def __init__(self) -> None:
        self.told_at = 0.0
        self.part = 0
        self.loss_sum, self.count = 0.0, 0
        self.first: tuple[int, float] | None = None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the next step that is kept says of those since the last one."""
        return {}, {"part": self.part, "loss_sum": self.loss_sum, "count": self.count}

    def load_state(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.part, self.loss_sum, self.count = facts["part"], facts["loss_sum"], facts["count"]

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Emit at the end of each part and after the last step, and live where the interval has passed."""
        pace, now = trainer.pace, time.monotonic()
        self.loss_sum, self.count = self.loss_sum + loss, self.count + 1
        if self.first is None:
            self.first = (pace.step, now)
        part = int(pace.progress * PARTS)
        kept = part > self.part or pace.finished
        if kept or now - self.told_at >= INTERVAL:
            self._tell(trainer, learning_rate, now, live={} if kept else {"live": True})
            self.told_at = now
        if kept:
            self.part, self.loss_sum, self.count = part, 0.0, 0

    def _tell(self, trainer: Trainer, learning_rate: float, now: float, *, live: dict[str, bool]) -> None:
        assert self.first is not None
        pace = trainer.pace
        done, seconds = pace.step - self.first[0], now - self.first[1]
        rate = done / seconds if done and seconds > 0 else 0.0
        emit(
            "step",
            step=pace.step,
            steps=pace.steps,
            epoch=round(pace.step * trainer.plan.batch_size / len(trainer.examples.splits["train"]), 2),
            loss=round(self.loss_sum / self.count, 5),
            learning_rate=round(learning_rate, 5),
            examples_per_second=round(rate * trainer.plan.batch_size, 1),
            seconds_left=round((pace.steps - pace.step) / rate, 1) if rate else None,
            seconds=round(trainer.seconds, 2),
            **live,
        )
