"""Image classification: give each picture one label.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step, Task
from engram.data.table import Table
from engram.features.category import Category
from engram.features.image import Image
from engram.floors.linear_on_pixels import LinearOnPixels
from engram.floors.majority_class import MajorityClass
from engram.losses.cross_entropy import cross_entropy
from engram.metrics.accuracy import Accuracy
from engram.metrics.auroc import Auroc
from engram.metrics.cross_entropy import CrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.tasks._answers import LabelOptions, label_answers
from engram.tasks._pictures import picture_augmentations, picture_network, picture_sample


class ImageClassification(Task):
    """Give each picture one label."""

    inputs: ClassVar = {"image": Image}
    target: ClassVar = {"label": Category}
    metrics: ClassVar = (Accuracy(), CrossEntropy(), MacroF1(), Auroc())
    floors: ClassVar = (MajorityClass(), LinearOnPixels())
    options: ClassVar = LabelOptions
    calibration: ClassVar = "softmax"

    def matches(self, table: Table) -> Evidence:
        """A column of pictures and a column of categories."""
        pictures = max((Image.matches(c) for c in table.columns.values()), key=lambda e: e.score)
        labels = max((Category.matches(c) for c in table.columns.values()), key=lambda e: e.score)
        return Evidence(min(pictures.score, labels.score), f"{pictures.reason}; {labels.reason}")

    def model(self, size: str, features: Any) -> nn.Module:
        """A convolutional network with one output per class."""
        return picture_network(size, features)

    def augmentations(self, features: Any, *, passes: float) -> dict[str, Any]:
        """Mirrored or turned, and shifted; in long training squares are hidden too."""
        return picture_augmentations(features, passes=passes)

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy with label smoothing."""
        logits_BC = model(batch.image)
        loss_B = cross_entropy(logits_BC, batch.label, smoothing=0.1) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Tensor:
        """Calibrated logits (B, C) when the model is the delivered one."""
        return model(inputs.image)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The likeliest label of each picture, with probabilities."""
        return label_answers(output.softmax(-1), features.label.names, top=options.top)

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures of three shapes."""
        return picture_sample(multilabel=False)
