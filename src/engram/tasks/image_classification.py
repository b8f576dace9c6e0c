"""Image classification: give each picture one label.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.task import Batch, Sample, Step
from engram.features.category import Category
from engram.losses.cross_entropy import cross_entropy
from engram.metrics.accuracy import Accuracy
from engram.metrics.auroc import Auroc
from engram.metrics.cross_entropy import CrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.tasks._answers import LabelOptions, label_answers
from engram.tasks._pictures import PictureTask, picture_sample


class ImageClassification(PictureTask):
    """Give each picture one label."""

    target: ClassVar = {"label": Category}
    metrics: ClassVar = (Accuracy(), CrossEntropy(), MacroF1(), Auroc())
    calibration: ClassVar = "softmax"
    smoothing = 0.1

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy with label smoothing."""
        logits_BC = model(batch.image)
        loss_B = cross_entropy(logits_BC, batch.label, smoothing=self.smoothing) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=logits_BC)

    def decode(self, output: Tensor, features: Any, options: LabelOptions) -> list[dict[str, Any]]:
        """The likeliest label of each picture, with probabilities."""
        return label_answers(output.softmax(-1), features.label.names, top=options.top)

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures of three shapes."""
        return picture_sample(multilabel=False)
