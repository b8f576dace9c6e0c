"""Image tagging: give each picture any number of labels.

Shapes: B examples, C labels.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step, Task
from engram.data.table import Table
from engram.features.categories import Categories
from engram.features.image import Image
from engram.floors.linear_on_pixels import LinearOnPixels
from engram.floors.majority_class import MajorityClass
from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.metrics.auroc import Auroc
from engram.metrics.binary_cross_entropy import BinaryCrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.metrics.mean_average_precision import MeanAveragePrecision
from engram.tasks._answers import LabelOptions, tag_answers
from engram.tasks._pictures import picture_augmentations, picture_network, picture_sample


class ImageTagging(Task):
    """Give each picture any number of labels."""

    inputs: ClassVar = {"image": Image}
    target: ClassVar = {"label": Categories}
    metrics: ClassVar = (MeanAveragePrecision(), BinaryCrossEntropy(), MacroF1(), Auroc())
    floors: ClassVar = (MajorityClass(), LinearOnPixels())
    options: ClassVar = LabelOptions
    calibration: ClassVar = "sigmoid"

    def matches(self, table: Table) -> Evidence:
        """A column of pictures and a column with several names in a row."""
        pictures = max((Image.matches(c) for c in table.columns.values()), key=lambda e: e.score)
        labels = max((Categories.matches(c) for c in table.columns.values()), key=lambda e: e.score)
        return Evidence(min(pictures.score, labels.score), f"{pictures.reason}; {labels.reason}")

    def model(self, size: str, features: Any) -> nn.Module:
        """A convolutional network with one output per label."""
        return picture_network(size, features)

    def augmentations(self, features: Any, *, passes: float) -> dict[str, Any]:
        """Mirrored or turned, and shifted; in long training squares are hidden too."""
        return picture_augmentations(features, passes=passes)

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Binary cross entropy of every label."""
        logits_BC = model(batch.image)
        loss_B = binary_cross_entropy(logits_BC, batch.label, smoothing=0.02) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Tensor:
        """Calibrated logits (B, C) when the model is the delivered one."""
        return model(inputs.image)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The labels of each picture that are more likely than not, with probabilities."""
        return tag_answers(output.sigmoid(), features.label.names, top=options.top)

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures with up to three shapes in each."""
        return picture_sample(multilabel=True)
