"""Conversation: learn from dialogues to answer in them."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import numpy as np

from engram.core.answers import Tokens
from engram.core.evidence import Evidence
from engram.core.task import Sample
from engram.data import windows
from engram.data.examples import Examples
from engram.data.table import Table
from engram.features.turns import Turns
from engram.tasks._tokens import Sampling, TokenTask


class Conversation(TokenTask):
    """Learn to reply. Replies alone are learned and scored; what they answer is read."""

    inputs: ClassVar = {"text": Turns}
    answers: ClassVar = Tokens(Sampling, converses=True)

    def matches(self, table: Table) -> Evidence:
        """A column of conversations."""
        return max((Turns.matches(column) for column in table.columns.values()), key=lambda found: found.score)

    def examples(self, examples: Examples) -> windows.Windows:
        """Windows over conversations, one after the other."""
        stored = examples.stored["text"]

        def read(row: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            ids, replies = (windows.part(stored.arrays[name], row, start, stop) for name in ("tokens", "replies"))
            return ids.astype(np.int64), replies.astype(bool)

        return windows.over(examples, role="text", tokens="tokens", context=self.answers.context, read=read, ends=False)

    @classmethod
    def sample(cls) -> Sample:
        """Made dialogues, whose answers follow from the questions."""
        chance = random.Random(0)
        answers = {"how are you": "fine, thank you", "what is this": "a small bird", "where is it": "behind the house"}
        dialogues: list[Any] = []
        for _ in range(600):
            asked = chance.choices(list(answers), k=3)
            turns = [turn for question in asked for turn in (("user", question), ("assistant", answers[question]))]
            dialogues.append([{"role": role, "content": text} for role, text in turns])
        return Sample(data={"messages": dialogues}, score=0.5, options={"steps": 60})
