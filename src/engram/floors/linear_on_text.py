"""The floor that looks at words: logistic regression on words, their pairs, pieces and shapes (NB-SVM)."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.scale import aims
from engram.core.spelling import Spelling, pairs
from engram.floors._gathering import gathered
from engram.floors._naive_bayes import Marked, fit_naive_bayes
from engram.floors.floor import Batches, Floor

MOST_PLACES = 1 << 20
MOST_WEIGHTS = 1 << 23
"""Of the table of weights: 32 MiB of float32 at most, so that many classes leave fewer places."""

MOST_MARKS = 30_000_000
"""Features that examples have, in all: beyond it an even share of the rows is learned from."""

PIECES_COUNT = 0.5
"""A piece counts for less than a word: words have many pieces, which say much the same (LOG.md, 2026-11-25)."""


class LinearOnText(Floor):
    """Logistic regression on which words, pairs of words, pieces of words and shapes of words a text has, NB-weighted.

    Reads the roles `text` (B, T) ids and `label`: class numbers (B,) for softmax, or yes or no (B, C) for sigmoids.
    """

    deliverable = True

    def build(self, features: Any) -> nn.Module:
        """Return the module with all weights zero."""
        return WordsLinear(features.text.size, features.label.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit in one pass over the batches, reading for at most half of `seconds`."""
        return self._fit(batches, features, seconds=seconds)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit with the ridge that was chosen before."""
        assert isinstance(fitted, WordsLinear)
        strength, naive = fitted.ridge.tolist()
        return self._fit(batches, features, seconds=seconds, ridge=(strength, naive))

    def _fit(
        self, batches: Batches, features: Any, *, seconds: float, ridge: tuple[float, float] | None = None
    ) -> nn.Module:
        began = time.monotonic()
        module = WordsLinear(features.text.size, features.label.size)
        module.spelling = Spelling.of(features.text.tokenizer)
        parts, label = gathered(batches, "text", take=module.found, room=MOST_MARKS, until=began + seconds / 2)
        known_N = torch.ones(len(label), dtype=torch.bool) if label.ndim == 2 else label >= 0
        marked, used_F = module.marked(parts)
        fitted = fit_naive_bayes(
            marked.of(known_N),
            label[known_N],
            aims_CC=aims(features.label.size, ordered=getattr(features.label, "ordered", False)),
            until=began + seconds,
            ridge=ridge,
        )
        with torch.no_grad():
            module.weight[used_F] = fitted["weight"]
            module.bias.copy_(fitted["bias"])
            module.ridge.copy_(fitted["ridge"])
        return module


class WordsLinear(nn.Module):
    """Find out which words, pairs, shapes and pieces a text has, and add up what each says for each class.

    Pairs are of neighbours, and of words with one between them; shapes stand alone, and with what is beside them
    (LOG.md, 2026-11-25). What there is has its place in a table by hashing, pieces in the upper half.
    ridge: that it was fitted with (2,).
    """

    ridge: Tensor

    def __init__(self, vocabulary: int, num_classes: int) -> None:
        super().__init__()
        places = min(MOST_PLACES, 1 << (MOST_WEIGHTS // num_classes).bit_length() - 1)
        self.spelling = Spelling(vocabulary)
        self.weight = nn.Parameter(torch.zeros(places, num_classes))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.register_buffer("ridge", torch.zeros(2))
        self.record = {"arguments": {"vocabulary": vocabulary, "num_classes": num_classes}}

    def forward(self, text_BT: Tensor) -> Tensor:
        """Return logits (B, C)."""
        # The first place is that of nothing, and weighs nothing.
        if torch.compiler.is_exporting():  # the other way fixes the number of examples and their length
            return nn.functional.embedding(self.places(text_BT), self.weight).sum(1) + self.bias
        return nn.functional.embedding_bag(self.places(text_BT), self.weight, mode="sum") + self.bias

    def places(self, text_BT: Tensor) -> Tensor:
        """Return (B, D) the places of what texts have, each once, ascending; 0 fills up."""
        half = len(self.weight) // 2
        word_BW, piece_BTG, _, shape_BW = self.spelling(text_BT)
        with_shapes = [shape_BW, pairs(shape_BW), pairs(shape_BW, word_BW), pairs(word_BW, shape_BW)]
        words_BD = torch.cat([word_BW, pairs(word_BW), pairs(word_BW, back=2), *with_shapes], 1)
        piece_BD = piece_BTG.flatten(1)
        place_BD = torch.cat(
            [
                torch.where(words_BD > 0, words_BD % (half - 1) + 1, 0),
                torch.where(piece_BD > 0, piece_BD % half + half, 0),
            ],
            1,
        )
        place_BD = place_BD.sort(1).values
        again_BD = place_BD == nn.functional.pad(place_BD, (1, 0), value=-1)[:, :-1]
        return torch.where(again_BD, 0, place_BD)

    def found(self, text_BT: Tensor) -> Tensor:
        """Return (B, D) the same without the zeros that all rows have, in half the memory."""
        place_BD = self.places(text_BT).sort(1, descending=True).values
        return place_BD[:, : int((place_BD > 0).sum(1).max())].int()

    def marked(self, parts: list[Tensor]) -> tuple[Marked, Tensor]:
        """Return which example has which of the places in use, and the places in use (F,)."""
        example, place, first = [], [], 0
        for place_BD in parts:
            row_E, column_E = place_BD.nonzero(as_tuple=True)
            example.append(row_E + first)
            place.append(place_BD[row_E, column_E])
            first += len(place_BD)
        used_F, feature_E = torch.cat(place).unique(return_inverse=True)
        value_F = torch.where(used_F < len(self.weight) // 2, 1.0, PIECES_COUNT)
        return Marked(torch.cat(example), feature_E, value_F, first), used_F
