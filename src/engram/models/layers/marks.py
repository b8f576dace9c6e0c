"""Items' vectors: each is one of the item's own and the mean of those of its marks (genre, words of its title).

By its marks an item is known that training has never seen.

Shapes: I items, M marks of all items one after the other, D width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class MarkedItems(nn.Module):
    """Gives the vectors of all items (I, D).

    num_marks, of_all: different marks, and marks of all items together (see `describe`). spread: of vectors at the
    beginning. forgotten: share of items whose own vector is left out in training, so that marks learn.
    """

    seen: Tensor
    marks: Tensor
    begins: Tensor

    def __init__(
        self, num_items: int, width: int, *, num_marks: int, of_all: int, spread: float, forgotten: float = 0.0
    ) -> None:
        super().__init__()
        self.forgotten = forgotten
        self.own = nn.Embedding(num_items, width)
        self.mark = nn.EmbeddingBag(max(1, num_marks), width, mode="mean", include_last_offset=True) if of_all else None
        self.register_buffer("seen", torch.ones(num_items))
        self.register_buffer("marks", torch.zeros(of_all, dtype=torch.int64))
        self.register_buffer("begins", torch.zeros(num_items + 1, dtype=torch.int64))
        for table in (self.own, self.mark):
            if table is not None:
                nn.init.normal_(table.weight, std=spread)

    @torch.no_grad()
    def describe(self, popularity: np.ndarray, marks: np.ndarray, begins: np.ndarray) -> None:
        """Take note of how often items (I,) were taken in training, of their marks (M,), and where each one's begin."""
        self.seen.copy_(torch.from_numpy(popularity > 0))
        if self.mark is not None:
            self.marks.copy_(torch.from_numpy(marks))
            self.begins.copy_(torch.from_numpy(begins))

    def forward(self) -> Tensor:
        """The vectors (I, D). One that training never saw has those of its marks alone."""
        vector_ID = self.own.weight * self.seen[:, None]
        if self.mark is None:
            return vector_ID
        if self.training and self.forgotten:
            vector_ID = vector_ID * (torch.rand_like(vector_ID[:, :1]) >= self.forgotten)
        return vector_ID + self.mark(self.marks, self.begins)
