"""Tokens: a floor counts in what is delivered more or less from token to token, by what it knows (`blending`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import nn

from engram.api import blending
from engram.api.delivery import keeping
from engram.api.delivery.kind import Answered, Exam, Fitted, Kind, Modules
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate.evaluation import Outputs
from engram.models.token_blend import TokenBlend
from engram.train.trainer import Trainer


class TokenKind(Kind):
    """The network, or a blend of its tokens with those of a floor."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Blend the network with the first floor that may be, where that is better."""
        task, examples = reading.task, reading.examples
        if (name := next(iter(task.competing), None)) is None:
            return super().fit(reading, trainer, floors)
        precision = trainer.plan.precision
        blend, choice = blending.choose(task, trainer.model, name, floors[name], examples, precision=precision)
        module = blend if choice.chosen == "blend" else trainer.model
        val = self.answered(Exam.of(reading, trainer, floors), module, examples.splits["val"])
        return Fitted(module, val, choice)

    def answered(self, exam: Exam, module: nn.Module, rows: np.ndarray) -> Answered:
        """Ask network and floor once, whose answers the blend's are made of."""
        if not isinstance(module, TokenBlend):
            return super().answered(exam, module, rows)
        found = blending.collect(exam.task, module, exam.examples, rows, precision=exam.precision)
        others = {name: floor for name, floor in exam.floors.items() if name != module.name}
        beside = {module.name: found.floor, **replace(exam, floors=others).by_floors(rows)}
        return Answered(found.blend, beside, found.network)

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Keep some windows of running text."""
        keeping.keep_windows(run, reading, outputs)
