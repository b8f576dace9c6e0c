"""Image classification: give each picture one label."""

from __future__ import annotations

from typing import ClassVar

from engram.core.task import Sample
from engram.tasks._labels import OneLabel
from engram.tasks._pictures import PictureTask, picture_sample


class ImageClassification(PictureTask, OneLabel):
    """Give each picture one label."""

    does: ClassVar = "gives each picture one label of {classes}"

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures of three shapes."""
        return picture_sample(multilabel=False)
