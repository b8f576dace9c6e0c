"""The network for texts: vectors of words and of their pieces, what stands side by side, a linear head.

Shapes: B examples, T ids, W words, D width, F filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engram.models.layers.words import WordVectors


class TextNet(nn.Module):
    """A network that gives each text, as ids (B, T), `num_classes` logits.

    vocabulary: of the ids. width: of a word's vector. spans, filters: each filter looks at so many words in a row; of
    what it finds, the strongest and the mean are kept (Kim 2014, arXiv:1408.5882).
    """

    recipe: ClassVar[dict[str, object]] = {
        "batch_size": 64,
        "optimizer.average_decay": 0.99,
        "optimizer.learning_rate": 2e-3,
        "optimizer.muon_learning_rate": 0.0,
        "optimizer.weight_decay": 0.01,
    }
    """Numbers of the plan that were found best for this network (LOG.md, 2026-11-25)."""

    def __init__(
        self,
        *,
        vocabulary: int,
        num_classes: int,
        width: int = 96,
        filters: int = 128,
        spans: Sequence[int] = (1, 2, 3),
        words: int = 1 << 14,
        pieces: int = 1 << 14,
        forgotten: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.words = WordVectors(vocabulary, width, words=words, pieces=pieces, forgotten=forgotten)
        self.dropout_in = nn.Dropout(0.2)
        self.filters = nn.ModuleList(nn.Conv1d(width, filters, span) for span in spans)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * filters * len(spans), num_classes)

    def forward(self, text_BT: Tensor) -> Tensor:
        """(B, T) -> logits (B, num_classes)."""
        x_BWD, present_BW = self.words(text_BT)
        x_BDW, present_B1W = self.dropout_in(x_BWD).transpose(1, 2), present_BW[:, None]
        found = []
        for convolution in self.filters:
            before = convolution.kernel_size[0] - 1
            x_BFW = self.activation(convolution(nn.functional.pad(x_BDW, (before, 0)))) * present_B1W
            found += [x_BFW.amax(2), x_BFW.sum(2) / present_B1W.sum(2).clamp(min=1).sqrt()]
        return self.head(self.dropout(torch.cat(found, 1)))


def sized(size: str) -> dict[str, Any]:
    """The numbers that "small", "medium" and "large" stand for."""
    return {
        "small": {"width": 96, "filters": 128},
        "medium": {"width": 192, "filters": 256, "words": 1 << 15, "pieces": 1 << 15},
        "large": {"width": 384, "filters": 512, "words": 1 << 16, "pieces": 1 << 16},
    }[size]
