"""Table classification: give each row of a table one label."""

from __future__ import annotations

from typing import Any, ClassVar

from engram.core.task import Batch, Sample, Step
from engram.floors.majority_class import MajorityClass
from engram.losses.cross_entropy import cross_entropy
from engram.tasks._labels import OneLabel
from engram.tasks._tables import TableTask, floors, member_losses, members_of, table_sample


class TableClassification(TableTask, OneLabel):
    """Give each row of a table one label."""

    kind: ClassVar = "softmax"
    floors: ClassVar = floors("softmax", MajorityClass())

    def step(self, model: Any, batch: Batch) -> Step:
        """Cross entropy of each member of the network."""
        members_BKC, output_BC = members_of(model, batch.record)
        loss_B = member_losses(cross_entropy, members_BKC, batch.label) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=output_BC)

    @classmethod
    def sample(cls) -> Sample:
        """Made rows whose class hangs on a number and a name together."""
        return table_sample("label")
