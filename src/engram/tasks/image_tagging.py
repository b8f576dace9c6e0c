"""Image tagging: give each picture any number of labels."""

from __future__ import annotations

from typing import ClassVar

from engram.core.task import Sample
from engram.tasks._labels import SeveralLabels
from engram.tasks._pictures import PictureTask, picture_sample


class ImageTagging(PictureTask, SeveralLabels):
    """Give each picture any number of labels."""

    does: ClassVar = "gives each picture any number of {classes} labels"

    @classmethod
    def sample(cls) -> Sample:
        """Made pictures with up to three shapes in each."""
        return picture_sample(multilabel=True)
