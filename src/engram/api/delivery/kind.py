"""How answers of one kind are delivered, scored and kept: the base of all kinds, which delivers the network itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from engram.api.competing import Choice
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.core.task import Task
from engram.data.examples import Examples
from engram.evaluate.evaluation import Outputs, collect
from engram.models.delivered import Delivered
from engram.models.token_blend import TokenBlend
from engram.predict.answering import BATCH_SIZE
from engram.train.trainer import Trainer

LEAST_BATCHES = 20
"""Into so many batches validation rows are cut where of a batch only the mean is known: many means have a spread."""

Modules = Mapping[str, nn.Module]


@dataclass(frozen=True)
class Answered:
    """Answers to the same rows: outputs of what is delivered, beside the floors', and beside the network's alone where
    a floor counts in what is delivered."""

    outputs: Outputs
    floors: dict[str, Outputs]
    network: Outputs | None


@dataclass(frozen=True)
class Fitted:
    """module: what is delivered. val: what was answered to validation rows. choice: where a floor competed."""

    module: nn.Module
    val: Answered
    choice: Choice | None = None


@dataclass(frozen=True)
class Exam:
    """Examples, the floors that answer beside a module, and the precision in which the module computes."""

    task: Task
    examples: Examples
    floors: Modules
    precision: str

    @classmethod
    def of(cls, reading: Reading, trainer: Trainer, floors: Modules) -> Exam:
        """As a training was planned."""
        return cls(reading.task, reading.examples, floors, trainer.plan.precision)

    def by(self, module: nn.Module, rows: np.ndarray, *, batch_size: int = BATCH_SIZE) -> Outputs:
        """What a module answers to some rows."""
        return collect(self.task, module, self.examples, rows, precision=self.precision, batch_size=batch_size)

    def by_floors(self, rows: np.ndarray) -> dict[str, Outputs]:
        """What floors answer, by name."""
        return {name: collect(self.task, floor, self.examples, rows) for name, floor in self.floors.items()}

    def by_network(self, module: nn.Module, rows: np.ndarray) -> Outputs | None:
        """What the network in a delivered module answers by itself; None where no floor counts beside it."""
        network = module.alone() if isinstance(module, Delivered | TokenBlend) else None
        return self.by(network, rows) if network is not None else None

    def by_all(self, module: nn.Module, rows: np.ndarray) -> Answered:
        """What all of them answer."""
        return Answered(self.by(module, rows), self.by_floors(rows), self.by_network(module, rows))


class Kind:
    """One kind of answers. Subclasses say what they do otherwise, and hold no state."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Choose among the trained network, floors and blends by validation rows, and fit by them what is fitted after
        training."""
        exam, rows, size = Exam.of(reading, trainer, floors), reading.examples.splits["val"], BATCH_SIZE
        if not reading.task.inputs:  # a step of one's own
            size = min(trainer.plan.micro_batch, max(2, len(rows) // LEAST_BATCHES))
        outputs = exam.by(trainer.model, rows, batch_size=size)
        return Fitted(trainer.model, Answered(outputs, exam.by_floors(rows), None))

    def answered(self, exam: Exam, module: nn.Module, rows: np.ndarray) -> Answered:
        """Let what is delivered, floors and network answer for some rows."""
        return exam.by_all(module, rows)

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Keep with the run what is shown and asked about later.

        outputs: of what is delivered, by split. modules: what is delivered, called so, and the floors.
        """
