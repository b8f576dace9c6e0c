"""Image classification: give each picture one label."""

from __future__ import annotations

from engram.core.task import Sample
from engram.tasks._labels import OneLabel
from engram.tasks._pictures import PictureTask, picture_sample


class ImageClassification(PictureTask, OneLabel):
    """Give each picture one label."""

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures of three shapes."""
        return picture_sample(multilabel=False)
