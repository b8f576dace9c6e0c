"""The network for texts: vectors of words, of their pieces and of pairs of words, perhaps a transformer, pooling.

Small data learn from what there is in a text rather than from its order: vectors are averaged and go through one
hidden layer (Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification"). The
larger sizes read the words by a transformer first.

Shapes: B examples, T ids, W words, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.core.spelling import pairs
from engram.models.layers.transformer import Block, Rotary, initialise
from engram.models.layers.words import UNSEEN, WordVectors, drop_whole

HEAD = 64
"""Width of a head of attention."""

LARGE = 1e4
"""Below all that can be found, in half precision too."""

AVERAGING = {
    "batch_size": 64,
    "optimizer.average_decay": 0.99,
    "optimizer.learning_rate": 2e-3,
    "optimizer.muon_learning_rate": 0.0,
    "optimizer.beta2": 0.99,
}
"""Numbers of the plan that were found best without a transformer (LOG.md, 2026-11-25)."""

READING = {"batch_size": 128, "optimizer.average_decay": 0.999, "optimizer.beta2": 0.99}
"""With one: the usual ones, and an average over more steps; not measured."""


class TextNet(nn.Module):
    """A network that gives each text, as ids (B, T), `num_classes` logits.

    vocabulary: of the ids. width: of a word's vector. words, pieces, pairs: places in the tables. layers: of the
    transformer. longest: words of a text that the transformer reads, so that time stays in proportion to length.
    forgotten, forgotten_pairs: share of the words, and of the pairs, that are left out in training.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        num_classes: int,
        width: int = 128,
        words: int = 1 << 14,
        pieces: int = 1 << 14,
        pairs: int = 1 << 15,
        layers: int = 0,
        longest: int = 1024,
        forgotten: float = 0.5,
        forgotten_pairs: float = 0.7,
    ) -> None:
        super().__init__()
        self.recipe = READING if layers else AVERAGING
        self.words = WordVectors(vocabulary, width, words=words, pieces=pieces, forgotten=forgotten)
        self.pair = nn.Embedding(pairs, width)
        self.longest, self.forgotten_pairs = longest, forgotten_pairs
        self.rotary = Rotary(HEAD)
        self.blocks = nn.ModuleList(Block(width, heads=width // HEAD, dropout=0.1) for _ in range(layers))
        self.dropout_in = nn.Dropout(0.3)
        self.hidden = nn.Linear(3 * width, width)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(width, num_classes)
        initialise(self.blocks, layers=max(1, layers))
        nn.init.normal_(self.pair.weight, std=UNSEEN)

    def forward(self, text_BT: Tensor) -> Tensor:
        """(B, T) -> logits (B, num_classes)."""
        x_BWD, word_BW = self.words(text_BT)
        present_BW1 = (word_BW > 0)[..., None]
        pair_BWD = self.pair(pairs(word_BW) % self.pair.num_embeddings) * present_BW1
        if self.training:
            pair_BWD = drop_whole(pair_BWD, share=self.forgotten_pairs)
        x_BWD = self._read(x_BWD, present_BW1)
        number_B1 = present_BW1.sum(1).clamp(min=1).sqrt()
        pooled_BD = torch.cat(
            [
                (x_BWD * present_BW1).sum(1) / number_B1,
                x_BWD.masked_fill(~present_BW1, -LARGE).amax(1) * present_BW1.any(1),
                pair_BWD.sum(1) / number_B1,
            ],
            1,
        )
        hidden_BD = self.activation(self.hidden(self.dropout_in(pooled_BD)))
        return self.head(self.dropout(hidden_BD))

    def _read(self, x_BWD: Tensor, present_BW1: Tensor) -> Tensor:
        """Let words read one another, as far as `longest`; those behind stay as they are."""
        if not self.blocks:
            return x_BWD
        near_W1 = torch.arange(x_BWD.shape[1], device=x_BWD.device)[:, None] < self.longest
        # A text without any word reads its own padding, of which nothing is kept.
        mask_B11W = ((present_BW1 | ~present_BW1.any(1, keepdim=True)) & near_W1)[:, None, None, :, 0]
        # An exported graph cannot ask how long a text is: it has words behind read too, and keeps nothing of it.
        most = x_BWD.shape[1] if torch.compiler.is_exporting() else self.longest
        read_BWD = x_BWD[:, :most] * x_BWD.shape[2] ** 0.5
        rotation = self.rotary(read_BWD.shape[1], dtype=read_BWD.dtype)
        for block in self.blocks:
            read_BWD = block(read_BWD, rotation, mask=mask_B11W[..., :most])
        if torch.compiler.is_exporting():
            return torch.where(near_W1, read_BWD, x_BWD)
        return torch.cat([read_BWD, x_BWD[:, most:]], 1)


def sized(size: str) -> dict[str, Any]:
    """The numbers that "small", "medium" and "large" stand for."""
    return {
        "small": {},
        "medium": {"width": 256, "words": 1 << 15, "pieces": 1 << 15, "pairs": 1 << 16, "layers": 2},
        "large": {"width": 384, "words": 1 << 16, "pieces": 1 << 16, "pairs": 1 << 17, "layers": 6},
    }[size]
