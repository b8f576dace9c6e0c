"""Language modelling: learn from running text what comes next, and write on in its manner."""

from __future__ import annotations

import random
from typing import ClassVar

from engram.core.evidence import Evidence
from engram.core.task import Sample
from engram.data.examples import Examples
from engram.data.table import Table
from engram.data.windows import Windows, over_texts
from engram.features.text import Text
from engram.tasks._tokens import TokenTask


class LanguageModelling(TokenTask):
    """Learn to write on, from texts without labels."""

    does: ClassVar = "writes on from what a text begins with"
    inputs: ClassVar = {"text": Text}

    def matches(self, table: Table) -> Evidence:
        """One column of texts and nothing that could be a label."""
        if len(table.columns) != 1:
            return Evidence(0.0, "there is more than text")
        (column,) = table.columns.values()
        found = Text.matches(column)
        return Evidence(found.score, f"{found.reason}, and nothing else to predict")

    def examples(self, examples: Examples) -> Windows:
        """Windows of the texts, one after the other."""
        return over_texts(examples, role="text", context=self.answers.context)

    @classmethod
    def sample(cls) -> Sample:
        """Made sentences: what is not chosen anew in each of them follows from what is before it."""
        chance = random.Random(0)
        who = ("a dog", "the cat", "one bird", "my horse", "your fish", "no man")
        what, where = ("sees", "wants", "hears", "likes", "finds"), ("at night", "all day", "in spring", "by the sea")
        parts = (who, what, who, where)
        texts = [" ".join(chance.choice(part) for part in parts) + "." for _ in range(900)]
        return Sample(data={"text": texts}, score=0.5, options={"steps": 60})
