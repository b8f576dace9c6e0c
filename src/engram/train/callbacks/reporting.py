"""Tell how training goes: one event a step, but not more than some a second."""

from __future__ import annotations

import time

from engram.core.events import emit
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

INTERVAL = 0.2
"""Least seconds between two step events."""


class Reporting(Callback):
    """Emit "step" events with the mean loss since the last one."""

    def __init__(self) -> None:
        self.told_at = 0.0
        self.losses: list[float] = []
        self.first: tuple[int, float] | None = None

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Emit where the interval has passed, and always after the last step."""
        pace, now = trainer.pace, time.monotonic()
        self.losses.append(loss)
        if self.first is None:
            self.first = (pace.step, now)
        if now - self.told_at < INTERVAL and not pace.finished:
            return
        done, seconds = pace.step - self.first[0], now - self.first[1]
        rate = done / seconds if done and seconds > 0 else 0.0
        emit(
            "step",
            step=pace.step,
            steps=pace.steps,
            epoch=round(pace.step * trainer.plan.batch_size / len(trainer.examples.splits["train"]), 2),
            loss=round(sum(self.losses) / len(self.losses), 5),
            learning_rate=round(learning_rate, 5),
            examples_per_second=round(rate * trainer.plan.batch_size, 1),
            seconds_left=round((pace.steps - pace.step) / rate, 1) if rate else None,
            seconds=round(trainer.seconds, 2),
        )
        self.told_at, self.losses = now, []
