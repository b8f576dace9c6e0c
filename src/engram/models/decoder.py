"""The decoder: a transformer that reads a text from its beginning and says at every place what comes next.

Shapes: B rows, T positions (S of those before), V ids of the vocabulary, L layers, H heads, K width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engram.models.layers.dropout import Dropout
from engram.models.layers.masks import following, one_document
from engram.models.layers.transformer import Block, Cache, Past, RMSNorm, Rotary, initialise

LARGER = 256
"""Width from which a batch holds more."""


class Decoder(nn.Module):
    """Gives each position (B, T) of ids the logits (B, T, V) of the id after it.

    A row may hold several documents, each begun by BEGIN: none sees another. context: positions it is trained with.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int = 256,
        width: int = 192,
        layers: int = 4,
        heads: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.context, self.heads = context, heads
        self.embedding = nn.Embedding(vocabulary, width)
        self.norm = RMSNorm()
        self.rotary = Rotary(width // heads)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads=heads, dropout=dropout) for _ in range(layers))
        self.head = nn.Linear(width, vocabulary, bias=False)
        initialise(self, layers=layers)

    @property
    def recipe(self) -> dict[str, object]:
        """Numbers of the plan: batch and Muon's rate were found best for the small network on one corpus.

        Larger ones train for longer, and 29 % faster with twice the batch (LOG.md, 2026-11-25). The others are usual.
        """
        return {
            "batch_size": 4 if self.embedding.embedding_dim < LARGER else 8,
            "optimizer.muon_learning_rate": 0.02,
            "optimizer.head_learning_rate": 2e-3,
            "optimizer.weight_decay": 0.01,
        }

    def forward(self, text_BT: Tensor, caches: Sequence[Cache | Past] | None = None) -> Tensor:
        """Ids -> logits of the next id. With caches, `text_BT` goes on where they end, within one document."""
        start = caches[0].length if caches else 0
        x_BTD = self.norm(self.embedding(text_BT))
        if torch.is_autocast_enabled(x_BTD.device.type):
            x_BTD = x_BTD.to(torch.get_autocast_dtype(x_BTD.device.type))
        rotation = self.rotary(text_BT.shape[1], start=start, dtype=x_BTD.dtype)
        mask = following(text_BT.shape[1], start, text_BT.device) if caches else one_document(text_BT)
        x_BTD = self.dropout(x_BTD)
        for layer, block in enumerate(self.blocks):
            cache = caches[layer] if caches else None
            x_BTD = block(x_BTD, rotation, mask=mask, causal=not caches, cache=cache)
        return self.head(self.norm(x_BTD))

    def step(self, text_BT: Tensor, past_L2BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Ids that follow others -> logits of the next ones, and keys and values of all, by layer; what is exported."""
        caches = [Past(past[0], past[1]) for past in past_L2BHSK]
        logits_BTV = self(text_BT, caches)
        return logits_BTV, torch.stack([torch.stack([cache.keys, cache.values]) for cache in caches])

    def caches(self, rows: int = 1) -> list[Cache]:
        """Room for the keys and values of as many positions as the network was trained with."""
        width = self.embedding.embedding_dim // self.heads
        device = self.embedding.weight.device
        return [Cache(rows, self.heads, self.context, width, device=device) for _ in self.blocks]


def sized(size: str) -> dict[str, Any]:
    """The shape that "small", "medium" and "large" stand for; what sees its data more often forgets more of it."""
    return {
        "small": {"width": 192, "layers": 4, "heads": 3, "dropout": 0.0},
        "medium": {"width": 256, "layers": 6, "heads": 4, "dropout": 0.1},
        "large": {"width": 512, "layers": 8, "heads": 8, "dropout": 0.1},
    }[size]
