"""What all tasks that give labels to texts share: input, network, floors."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from torch import nn

from engram.core.evidence import Evidence
from engram.core.spelling import Spelling
from engram.core.task import Sample, Worth
from engram.data.table import Table
from engram.features.feature import Configured
from engram.features.text import Text
from engram.floors.linear_on_text import LinearOnText
from engram.floors.majority_class import MajorityClass
from engram.models import build
from engram.models.text_net import TextNet, sized
from engram.tasks._columns import columns_of
from engram.tasks._labels import LabelTask

LONGEST = 8192
"""Characters of a text that are read: about 1,500 words."""

FEW_ROWS = 20_000
MOST_PASSES = {"few": 4, "many": 15}
"""Training ends after so many passes over few or many rows: the words of few texts are soon learned by heart, and
others are then answered worse (LOG.md, 2026-11-25)."""


USUAL_SHARE = (0.3, 0.2)
"""With few texts a share of 0.2 to 0.35 was best by accuracy in cross-validation (LOG.md, 2026-11-25). Many rows
outweigh it."""


class TextTask(LabelTask):
    """Labels for texts: which network, and which floor is worth delivering."""

    inputs: ClassVar = {"text": Configured(Text, {"tokenizer": "characters", "longest": LONGEST})}
    floors: ClassVar = (MajorityClass(), LinearOnText())
    usual_share: ClassVar = USUAL_SHARE
    aims_near: ClassVar = True
    sizes: ClassVar = {  # a guess, not measured: of few texts, order tells little that can be learned
        "medium": Worth(rows=50_000, passes=4, examples=1_000_000),
        "large": Worth(rows=200_000, passes=6, examples=4_000_000),
    }

    def matches(self, table: Table) -> Evidence:
        """A text with a label, and little beside it."""
        found, columns = super().matches(table), columns_of(table)
        if columns is not None and columns.target is not None:
            (label,) = (feature.matches(columns.target) for feature in self.target.values())
            if not label:
                return Evidence(0.0, f"{columns.target.name} is no label: {label.reason}")
        if columns is not None and columns.many:
            return Evidence(min(found.score, 0.3), f"{found.reason}, one of {len(table.columns):,} columns")
        return found

    def model(self, size: str, features: Any) -> nn.Module:
        """A network that finds the words of each text and gives it one logit per label."""
        network = build.named("text_net", vocabulary=features.text.size, num_classes=features.label.size, **sized(size))
        assert isinstance(network, TextNet)
        network.words.spelling = Spelling.of(features.text.tokenizer)
        return network

    def most_passes(self, rows: int) -> float:
        """Fewer over few rows."""
        return MOST_PASSES["few" if rows < FEW_ROWS else "many"]


def text_sample(*, multilabel: bool) -> Sample:
    """Made sentences about animals, tools and food: any working network tells them apart within seconds."""
    random = np.random.default_rng(0)
    about = {
        "animal": ["horse", "sparrow", "trout", "badger", "wolf"],
        "food": ["bread", "apple", "cheese", "soup", "noodles"],
        "tool": ["hammer", "chisel", "saw", "drill", "pliers"],
    }
    others = [
        "the",
        "one",
        "near",
        "old",
        "small",
        "red",
        "we",
        "saw",
        "they",
        "had",
        "then",
        "by",
        "some",
        "left",
        "of",
    ]
    texts, labels = [], []
    for _ in range(400):
        chosen = [name for name in about if random.random() < 0.5] if multilabel else [str(random.choice(list(about)))]
        words = [str(random.choice(about[name])) for name in chosen] + list(random.choice(others, 8))
        texts.append(" ".join(str(word) for word in random.permutation(words)))
        labels.append(chosen if multilabel else chosen[0])
    return Sample(data=(texts, labels), score=0.9, options={"steps": 100})
