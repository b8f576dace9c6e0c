"""Image tagging: give each picture any number of labels.

Shapes: B examples, C labels.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.task import Batch, Sample, Step
from engram.features.categories import Categories
from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.metrics.auroc import Auroc
from engram.metrics.binary_cross_entropy import BinaryCrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.metrics.mean_average_precision import MeanAveragePrecision
from engram.tasks._answers import LabelOptions, tag_answers
from engram.tasks._pictures import PictureTask, picture_sample


class ImageTagging(PictureTask):
    """Give each picture any number of labels."""

    target: ClassVar = {"label": Categories}
    metrics: ClassVar = (MeanAveragePrecision(), BinaryCrossEntropy(), MacroF1(), Auroc())
    calibration: ClassVar = "sigmoid"
    smoothing = 0.02

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Binary cross entropy of every label."""
        logits_BC = model(batch.image)
        loss_B = binary_cross_entropy(logits_BC, batch.label, smoothing=self.smoothing) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The labels of each picture that are more likely than not, with probabilities."""
        return tag_answers(output.sigmoid(), features.label.names, top=options.top)

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures with up to three shapes in each."""
        return picture_sample(multilabel=True)
