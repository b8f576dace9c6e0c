"""Keep the time budget: plan the number of steps again as the machine turns out faster or slower."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

SETTLED = 3
"""Steps before the first estimate: kernels are chosen and memory is taken in the first ones."""


class Pacing(Callback):
    """Fit the number of steps into `seconds_left()`; never more than `most` steps."""

    def __init__(self, seconds_left: Callable[[], float], *, most: int) -> None:
        self.seconds_left = seconds_left
        self.most = most
        self.moments: deque[float] = deque(maxlen=256)
        self.settled = 0
        self.coarse = False

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Change the number of steps where the time left asks for it, as the first process's clock says."""
        if trainer.coarse != self.coarse:  # from now on a step takes another time
            self.coarse, self.settled = trainer.coarse, min(self.settled, SETTLED - 2)
            self.moments.clear()
        self._note_time()
        if trainer.decisions.waiting:
            return
        steps = trainer.team.largest(self._steps(trainer) if trainer.team.leads else 0)
        if steps != trainer.pace.steps:
            trainer.decide("steps", steps=steps)

    def _note_time(self) -> None:
        self.settled += 1
        if self.settled >= SETTLED:
            self.moments.append(time.monotonic())

    def _steps(self, trainer: Trainer) -> int:
        """The number of steps that fits; the present one where that is about the same."""
        pace = trainer.pace
        if len(self.moments) < 2:
            return pace.steps
        seconds_per_step = (self.moments[-1] - self.moments[0]) / (len(self.moments) - 1)
        steps = min(self.most, pace.step + max(0, int(self.seconds_left() / seconds_per_step)))
        if abs(steps - pace.steps) > max(1, 0.02 * (pace.steps - pace.step)) or steps == pace.step < pace.steps:
            return steps
        return pace.steps
