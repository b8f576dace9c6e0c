"""Table classification: give each row of a table one label."""

from __future__ import annotations

from typing import Any, ClassVar

from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step
from engram.data.table import Column
from engram.features.number import Number
from engram.floors.majority_class import MajorityClass
from engram.losses.cross_entropy import cross_entropy
from engram.metrics.cross_entropy import CrossEntropy
from engram.tasks._labels import OneLabel
from engram.tasks._tables import NUMBERS, TableTask, floors, member_losses, members_of, table_sample


class TableClassification(TableTask, OneLabel):
    """Give each row of a table one label."""

    does: ClassVar = "gives each row of a table one label of {classes}"
    selection: ClassVar = CrossEntropy()  # of few validation rows it says more than the first metric
    kind: ClassVar = "softmax"
    floors: ClassVar = floors("softmax", MajorityClass())

    def judged(self, target: Column) -> Evidence:
        """Names, or few whole numbers: many numbers are for regression."""
        number = Number.matches(target)
        if number.score > NUMBERS:
            return Evidence(0.0, f"{number.reason}: a number to be predicted, by table_regression")
        return super().judged(target)

    def step(self, model: Any, batch: Batch) -> Step:
        """Cross entropy of each member of the network."""
        members_BKC, output_BC = members_of(model, batch.record)
        loss_B = member_losses(cross_entropy, members_BKC, batch.label) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=output_BC)

    @classmethod
    def sample(cls) -> Sample:
        """Made rows whose class hangs on a number and a name together."""
        return table_sample("label")
