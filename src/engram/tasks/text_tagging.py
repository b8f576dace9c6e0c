"""Text tagging: give each text any number of labels."""

from __future__ import annotations

from typing import ClassVar

from engram.core.task import Sample
from engram.tasks._labels import SeveralLabels
from engram.tasks._texts import TextTask, text_sample


class TextTagging(TextTask, SeveralLabels):
    """Give each text any number of labels."""

    does: ClassVar = "gives each text any number of {classes} labels"

    @classmethod
    def sample(cls) -> Sample:
        """Made sentences about three things."""
        return text_sample(multilabel=True)
