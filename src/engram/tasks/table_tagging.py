"""Table tagging: give each row of a table any number of labels."""

from __future__ import annotations

from typing import Any, ClassVar

from engram.core.task import Batch, Sample, Step
from engram.floors.majority_class import MajorityClass
from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.metrics.binary_cross_entropy import BinaryCrossEntropy
from engram.tasks._labels import SeveralLabels
from engram.tasks._tables import TableTask, floors, member_losses, members_of, table_sample


class TableTagging(TableTask, SeveralLabels):
    """Give each row of a table any number of labels."""

    does: ClassVar = "gives each row of a table any number of {classes} labels"
    selection: ClassVar = BinaryCrossEntropy()  # of few validation rows it says more than the first metric
    kind: ClassVar = "sigmoid"
    floors: ClassVar = floors("sigmoid", MajorityClass())

    def step(self, model: Any, batch: Batch) -> Step:
        """Binary cross entropy of each member of the network."""
        members_BKC, output_BC = members_of(model, batch.record)
        loss_B = member_losses(binary_cross_entropy, members_BKC, batch.label) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=output_BC)

    @classmethod
    def sample(cls) -> Sample:
        """Made rows with up to two labels each."""
        return table_sample("labels")
