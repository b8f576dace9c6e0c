"""What tasks that give labels share, whatever they give them to: loss, answer and scores of one label, or of several.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from torch import Tensor, nn

from engram.core.answers import Labels, Tags
from engram.core.evidence import Evidence
from engram.core.scale import aims
from engram.core.task import Batch, Step, Task
from engram.data.table import Table
from engram.features.categories import Categories
from engram.features.category import Category
from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.losses.cross_entropy import cross_entropy
from engram.metrics.accuracy import Accuracy
from engram.metrics.auroc import Auroc
from engram.metrics.binary_cross_entropy import BinaryCrossEntropy
from engram.metrics.cross_entropy import CrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.metrics.mae import Mae
from engram.metrics.mean_average_precision import MeanAveragePrecision
from engram.metrics.quadratic_kappa import QuadraticKappa
from engram.tasks._answers import LabelOptions, label_answers, tag_answers


class LabelTask(Task):
    """Labels for values of one kind. What the values are, and the network, a task says itself."""

    options: ClassVar = LabelOptions
    smoothing: float = 0.0

    @property
    def role(self) -> str:
        """The role of what gets labels."""
        return next(iter(self.inputs))

    def matches(self, table: Table) -> Evidence:
        """A column of the input's kind, and another one that the target's feature reads."""
        judged = [(name, self.inputs[self.role].matches(column)) for name, column in table.columns.items()]
        given, found = max(judged, key=lambda one: one[1].score)
        others = [column for name, column in table.columns.items() if name != given]
        labels = max((self.target["label"].matches(c) for c in others), key=lambda e: e.score, default=None)
        if labels is None:
            return Evidence(0.0, f"{found.reason}; no column is left for the label")
        return Evidence(min(found.score, labels.score), f"{found.reason}; {labels.reason}")

    def plain(self) -> Self:
        """Without label smoothing."""
        task = super().plain()
        task.smoothing = 0.0
        return task

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Tensor:
        """Calibrated logits (B, C) when the model is the delivered one."""
        return model(getattr(inputs, self.role))


class OneLabel(LabelTask):
    """One label each.

    ordered: whether labels are steps of a scale. aims_near: whether the network then aims at a step's neighbours too.
    """

    target: ClassVar = {"label": Category}
    metrics: tuple[Any, ...] = (Accuracy(), CrossEntropy(), MacroF1(), Auroc())
    answers: ClassVar = Labels()
    smoothing = 0.1
    ordered = False
    aims_near: ClassVar[bool] = False

    def see(self, features: Any) -> None:
        """Labels that are steps of a scale are scored by how many steps an answer is off, too."""
        self.ordered = getattr(features.get("label"), "ordered", False)
        if self.ordered:
            self.metrics = (*type(self).metrics, Mae(), QuadraticKappa())

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy with label smoothing: over all classes, or over the neighbours of a step of a scale."""
        logits_BC = model(getattr(batch, self.role))
        near = self.ordered and self.aims_near and self.smoothing
        aims_CC = aims(logits_BC.shape[1], ordered=True) if near else None
        smoothing = self.smoothing if aims_CC is None else 0.0
        loss_B = cross_entropy(logits_BC, batch.label, smoothing=smoothing, aims_CC=aims_CC) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The likeliest label of each, with probabilities."""
        return label_answers(output.softmax(-1), features.label.names, top=options.top)


class SeveralLabels(LabelTask):
    """Any number of labels each."""

    target: ClassVar = {"label": Categories}
    metrics: tuple[Any, ...] = (MeanAveragePrecision(), BinaryCrossEntropy(), MacroF1(), Auroc())
    answers: ClassVar = Tags()
    smoothing = 0.02

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Binary cross entropy of every label."""
        logits_BC = model(getattr(batch, self.role))
        loss_B = binary_cross_entropy(logits_BC, batch.label, smoothing=self.smoothing) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The labels of each that are more likely than not, with probabilities."""
        return tag_answers(output.sigmoid(), features.label.names, top=options.top)
