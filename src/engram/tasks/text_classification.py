"""Text classification: give each text one label."""

from __future__ import annotations

from typing import ClassVar

from engram.core.task import Sample
from engram.tasks._labels import OneLabel
from engram.tasks._texts import TextTask, text_sample


class TextClassification(TextTask, OneLabel):
    """Give each text one label."""

    does: ClassVar = "gives each text one label of {classes}"

    @classmethod
    def sample(cls) -> Sample:
        """Made sentences about three things."""
        return text_sample(multilabel=False)
