"""Word vectors by hashing: one for the word, and one for each piece that it is spelled with.

What training has not seen has no vector of its own, but its pieces have (Bojanowski et al. 2017, "Enriching word
vectors with subword information", arXiv:1607.04606).

Shapes: B examples, T ids, W words, G lengths of pieces, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engram.core.spelling import Spelling

UNSEEN = 0.01
"""Spread of vectors at the beginning: what training never sees says next to nothing."""


class WordVectors(nn.Module):
    """Turn ids (B, T) into vectors of words (B, W, D), and give the words' hash numbers (B, W), 0 where is none.

    vocabulary: of the ids. words, pieces: places in the tables. forgotten: share of the words whose own vector is
    left out in training, so that pieces and neighbours must do (word dropout, Iyyer et al. 2015).
    """

    def __init__(self, vocabulary: int, width: int, *, words: int, pieces: int, forgotten: float = 0.0) -> None:
        super().__init__()
        self.spelling = Spelling(vocabulary)
        self.word = nn.Embedding(words, width)
        self.piece = nn.Embedding(pieces, width)
        self.forgotten = forgotten
        for table in (self.word, self.piece):
            nn.init.normal_(table.weight, std=UNSEEN)

    def forward(self, text_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (B, W, D), zero where there is no word, and hash numbers of words (B, W)."""
        word_BW, piece_BTG, place_BT, _ = self.spelling(text_BT)
        present_BW = word_BW > 0
        x_BWD = self.word(word_BW % self.word.num_embeddings)
        spelled_BWD = self._spelled(piece_BTG, place_BT, num_words=word_BW.shape[1])
        if self.training:
            x_BWD, spelled_BWD = drop_whole(x_BWD, share=self.forgotten), drop_whole(spelled_BWD, share=0.15)
        return (x_BWD + spelled_BWD) * present_BW[..., None], word_BW

    def _spelled(self, piece_BTG: Tensor, place_BT: Tensor, *, num_words: int) -> Tensor:
        """The sum of the vectors of each word's pieces, divided by the root of their number."""
        there_BTG = piece_BTG > 0
        vector_BTD = (self.piece(piece_BTG % self.piece.num_embeddings) * there_BTG[..., None]).sum(2)
        place_BT = place_BT.clamp(max=num_words)
        sum_BWD = vector_BTD.new_zeros(place_BT.shape[0], num_words + 1, vector_BTD.shape[2])
        sum_BWD = sum_BWD.scatter_add(1, place_BT[..., None].expand_as(vector_BTD), vector_BTD)
        number_BW = vector_BTD.new_zeros(place_BT.shape[0], num_words + 1)
        number_BW = number_BW.scatter_add(1, place_BT, there_BTG.sum(2).to(vector_BTD))
        return (sum_BWD / number_BW.clamp(min=1).sqrt()[..., None])[:, 1:]


def drop_whole(x_BWD: Tensor, *, share: float) -> Tensor:
    """Set a share of the vectors to zero, each as a whole; the others stay as they are."""
    return x_BWD * (torch.rand_like(x_BWD[..., :1]) >= share)
