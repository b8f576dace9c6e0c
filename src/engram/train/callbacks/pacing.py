"""Keep the time budget: plan the number of steps again as the machine turns out faster or slower.

Each change is written to `pace.jsonl` and flushed before it takes effect; a resumed training replays the
changes it finds there, so that it takes the same steps at the same rates.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from engram.core.rundir import RunDirectory
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

FILE = "pace.jsonl"

SETTLED = 3
"""Steps before the first estimate: kernels are chosen and memory is taken in the first ones."""


class Pacing(Callback):
    """Fit the number of steps into `seconds_left()`; never more than `most` steps."""

    def __init__(self, run: RunDirectory, seconds_left: Callable[[], float], *, most: int) -> None:
        self.run = run
        self.seconds_left = seconds_left
        self.most = most
        self.moments: deque[tuple[int, float]] = deque(maxlen=256)
        self.recorded: dict[int, int] = {}

    def begin(self, trainer: Trainer) -> None:
        """Read the changes that an interrupted training had recorded."""
        lines = self.run.read_lines(FILE)
        if lines:  # without a line that a crash tore, to which the next would be glued
            self.run.write_lines(FILE, lines)
        self.recorded = {line["step"]: line["steps"] for line in lines if line["step"] >= trainer.pace.step}
        if trainer.pace.step in self.recorded:
            trainer.pace.steps = self.recorded[trainer.pace.step]

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Change the number of steps where the time left asks for it."""
        pace = trainer.pace
        self.moments.append((pace.step, time.monotonic()))
        if self.recorded and pace.step <= max(self.recorded):
            pace.steps = self.recorded.get(pace.step, pace.steps)
            return
        if len(self.moments) <= SETTLED:
            return
        steps = min(self.most, pace.step + max(0, int(self.seconds_left() / self._seconds_per_step())))
        if abs(steps - pace.steps) > max(1, 0.02 * (pace.steps - pace.step)) or steps == pace.step < pace.steps:
            self._change(trainer, steps)

    def _seconds_per_step(self) -> float:
        """Over the last steps, without the settling ones, evaluations and checkpoints included."""
        first = self.moments[min(SETTLED - 1, len(self.moments) - 2)]
        last = self.moments[-1]
        return (last[1] - first[1]) / (last[0] - first[0])

    def _change(self, trainer: Trainer, steps: int) -> None:
        self.run.append_line(FILE, {"step": trainer.pace.step, "steps": steps})
        trainer.pace.steps = steps
