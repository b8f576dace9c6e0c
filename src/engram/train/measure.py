"""Measure, before planning, what a network costs on this machine."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engram.core.task import Task
from engram.data.examples import Examples
from engram.train.callbacks.callback import Callback
from engram.train.plan import Plan
from engram.train.trainer import Trainer

TIMES = 3
"""Steps and answers timed; the shortest counts, and never the first, which warms up."""

WRITTEN = 32
"""Examples that are answered at once where answers are written: enough to know what each takes."""


@dataclass(frozen=True)
class Cost:
    """Seconds that one training step, and of one example the score and the answer, take; so many examples at once."""

    step: float
    score: float
    answer: float
    micro_batch: int


def measure(task: Task, model: nn.Module, examples: Examples, plan: Plan, *, augmentation: object = None) -> Cost:
    """Time training steps and answers on a copy of the network; it and all random states stay as they were.

    Where memory runs out, with fewer examples at once than planned. Examples that differ in length are timed as whole
    batches, whose pieces hold similar ones, and the same each time: shapes that are new take longer, and in training
    soon none is. What writes is timed at its longest: a network that has learned nothing finds no end.
    """
    train = examples.splits["train"]
    uneven = examples.lengths(train[:1]) is not None
    number = plan.batch_size if uneven else plan.micro_batch
    short = dataclasses.replace(plan, batch_size=number, steps=TIMES, coarse_until=0.0)
    rows = np.resize(train, number)
    if uneven:
        examples = dataclasses.replace(examples, splits={**examples.splits, "train": rows})
    steps, scores, answers = _Watch(), _Watch(), _Watch()
    with torch.random.fork_rng(devices=[]):
        trainer = Trainer(task, copy.deepcopy(model), examples, short, augmentation=augmentation, callbacks=[steps])
        trainer.fit()
        scores.time(lambda: trainer.statistics(rows), trainer)
        score = answer = scores.best / len(rows)
        if task.answers.written:
            answers.time(lambda: _answer(trainer, rows[:WRITTEN]), trainer)
            answer = answers.best / len(rows[:WRITTEN])
    step = steps.best * plan.batch_size / number
    return Cost(step=step, score=score, answer=answer, micro_batch=trainer.micro_batch)


@torch.no_grad()
def _answer(trainer: Trainer, rows: np.ndarray) -> None:
    with trainer.autocast():
        trainer.task.predict(trainer.model.eval(), trainer.load(rows), trainer.task.options())


class _Watch(Callback):
    """Takes the time after each step."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def begin(self, trainer: Trainer) -> None:
        """Take the time before the first."""
        self.look(trainer.device)

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Take the time after it."""
        self.look(trainer.device)

    def time(self, action: Callable[[], object], trainer: Trainer) -> None:
        """Take the time of doing something several times."""
        self.begin(trainer)
        for _ in range(TIMES):
            action()
            self.look(trainer.device)

    def look(self, device: torch.device) -> None:
        """Take the time, once the device has done what it was given."""
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        self.moments.append(time.perf_counter())

    @property
    def best(self) -> float:
        """The shortest of all but the first, in seconds."""
        return min(b - a for a, b in zip(self.moments[1:], self.moments[2:], strict=False))
