"""The recommender: a tower that reads a user's history, a tower for items, and their product as the score.

The user's tower is a causal transformer (Kang and McAuley 2018, "Self-attentive sequential recommendation",
arXiv:1808.09781), so that every place of a history learns what comes after it, by the softmax over all items. The
item's tower adds to a vector of the item's own those of its marks (genre, words of its title), by which an item that
training has never seen is known; there is no vector of a user, so that new ones need no training.

Shapes: B users, L interactions of the longest, T of them that are read, D width, I items, M marks of all items.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.models.layers.dropout import Dropout
from engram.models.layers.marks import MarkedItems
from engram.models.layers.transformer import Block, RMSNorm, Rotary, initialise

SPREAD = 0.05
"""Of items' vectors at the beginning: all about equally likely."""

READ_AT_ONCE = 128
"""Histories that are read together where nothing is learned: a sixth faster than 400 (LOG.md, 2026-11-26)."""

STRIDE = 16
"""Histories are read in lengths that are multiples of this: for each new one oneDNN writes code anew."""

FROM_NOTHING = 0.1
"""Share of histories that training reads from before the first interaction, for those of whom nothing is known."""


class SequentialRecommender(nn.Module):
    """Gives histories (B, L, 2), of items' numbers from 1 on and ratings, the scores (B, I) of what comes next.

    num_marks, of_all, forgotten: see `MarkedItems`. num_about: different marks of users; those of one stand behind the
    history, numbered from -1 down. longest: interactions that are read, the last ones.
    """

    recipe: ClassVar[dict[str, object]] = {
        "batch_size": 64,
        "optimizer.muon_learning_rate": 0.0,
        "optimizer.learning_rate": 2e-3,
        "optimizer.weight_decay": 0.1,
        "optimizer.beta2": 0.98,
        "optimizer.clip_norm": 1.0,
    }

    def __init__(
        self,
        *,
        num_items: int,
        num_marks: int = 0,
        of_all: int = 0,
        num_about: int = 0,
        width: int = 64,
        layers: int = 2,
        heads: int = 2,
        longest: int = 100,
        dropout: float = 0.2,
        forgotten: float = 0.1,
    ) -> None:
        super().__init__()
        assert layers, "the last block reads the last place"
        self.longest = longest
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.rated = nn.Linear(1, width)
        self.norm = RMSNorm()
        self.rotary = Rotary(width // heads)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads=heads, dropout=dropout) for _ in range(layers))
        self.head = nn.Linear(width, width, bias=False)
        initialise(self, layers=layers)
        nn.init.zeros_(self.rated.bias)
        self.items = MarkedItems(
            num_items, width, num_marks=num_marks, of_all=of_all, spread=SPREAD, forgotten=forgotten
        )
        self.about = nn.Embedding(num_about + 1, width, padding_idx=0) if num_about else None
        if self.about is not None:
            nn.init.zeros_(self.about.weight)

    @torch.no_grad()
    def describe(self, popularity: np.ndarray, marks: np.ndarray, begins: np.ndarray) -> None:
        """Take note of what is known of items (see `MarkedItems`), and let popular ones be likely."""
        self.items.describe(popularity, marks, begins)
        count = torch.from_numpy(np.asarray(popularity, np.float32))
        self.bias.copy_(((count + 0.1) / (count.mean() + 0.1)).log())

    def who(self, history_BL2: Tensor) -> Tensor | float:
        """What is known of users besides (B, 1, D): the mean of their marks' vectors, none of some in training."""
        if self.about is None:
            return 0.0
        mark_BL = (-history_BL2[..., 0].long()).clamp(min=0)
        number_B1 = (mark_BL > 0).sum(1, keepdim=True)
        about_BD = self.about(mark_BL).sum(1) / number_B1.clamp(min=1)
        if self.training:
            about_BD = about_BD * (torch.rand_like(about_BD[:, :1]) >= self.items.forgotten)
        return about_BD[:, None]

    def embed(
        self, window_BT2: Tensor, vector_ID: Tensor, about: Tensor | float
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return interactions as vectors (B, T, D), to which is added what is known of users, and the rotations of
        their places.
        """
        number_BT = window_BT2[..., 0].long()
        x_BTD = functional.embedding((number_BT - 1).clamp(min=0), vector_ID) * (number_BT > 0)[..., None]
        x_BTD = self.norm(x_BTD) + self.rated(window_BT2[..., 1:]) + about
        if torch.is_autocast_enabled(x_BTD.device.type):
            x_BTD = x_BTD.to(torch.get_autocast_dtype(x_BTD.device.type))
        return self.dropout(x_BTD), self.rotary(x_BTD.shape[1], dtype=x_BTD.dtype)

    def read(self, window_BT2: Tensor, vector_ID: Tensor, about: Tensor | float = 0.0) -> Tensor:
        """Return what each place of a history (B, T) knows of what comes next (B, T, D)."""
        x_BTD, rotation = self.embed(window_BT2, vector_ID, about)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotation, causal=True)
        return self.head(self.norm(x_BTD))

    def user(self, history_BL2: Tensor, vector_ID: Tensor) -> Tensor:
        """Return the vectors of users (B, D), whose product with an item's, and its bias, is the score: what `read`
        gives for the last place, to which the others matter no more after the last block's attention. Of many, some
        at a time, whose numbers stay near the processor.
        """
        if not self.training and not torch.compiler.is_exporting() and len(history_BL2) > READ_AT_ONCE:
            return torch.cat([self.user(some_BL2, vector_ID) for some_BL2 in history_BL2.split(READ_AT_ONCE)])
        window_BT2, last_B = self.window(history_BL2)
        x_BTD, rotation = self.embed(window_BT2, vector_ID, self.who(history_BL2))
        blocks: list[Any] = list(self.blocks)
        for block in blocks[:-1]:
            x_BTD = block(x_BTD, rotation, causal=True)
        return self.head(self.norm(blocks[-1].at(x_BTD, rotation, last_B)))

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> scores (B, I) of what comes after the last interaction.

        The product is taken in full precision: in half, many items would have the same score.
        """
        vector_ID = self.items()
        user_BD = self.user(history_BL2, vector_ID)
        with torch.autocast(user_BD.device.type, enabled=False):
            return functional.linear(user_BD.float(), vector_ID, self.bias)

    def learning(
        self, history_BL2: Tensor, next_B: Tensor, *, ahead: int, places: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what some places of each history know (P, D), the numbers from 0 on of an item each that came after
        them (P,), and all items' vectors (I, D).

        next_B: the item after the history. In training, a part of a longer history is read, and of each a number of
        `places` are asked, for one of the `ahead` items after them; else the last place alone, for the next one.
        """
        vector_ID = self.items()
        if not self.training:
            known_B = next_B > 0
            return self.user(history_BL2, vector_ID)[known_B], next_B[known_B] - 1, vector_ID
        size_B1 = (history_BL2[..., 0] > 0).sum(1, keepdim=True)
        item_BS = functional.pad(history_BL2[..., 0].long(), (0, 1)).scatter(1, size_B1, next_B[:, None].clamp(min=0))
        start_B1 = (torch.rand(size_B1.shape, device=size_B1.device) * (size_B1 - self.longest + 1).clamp(min=1)).long()
        start_B1 = start_B1 - (torch.rand(size_B1.shape, device=size_B1.device) < FROM_NOTHING).long()
        place_BT = start_B1 + torch.arange(min(history_BL2.shape[1], self.longest), device=size_B1.device)
        state_BTD = self.read(_taken(history_BL2, place_BT), vector_ID, self.who(history_BL2))
        far_BT = (torch.rand(place_BT.shape, device=size_B1.device) * (size_B1 - place_BT).clamp(1, ahead)).long()
        target_BT = item_BS.gather(1, (place_BT + 1 + far_BT).clamp(max=item_BS.shape[1] - 1)) * (place_BT < size_B1)
        chance_BT = (
            torch.rand(place_BT.shape, device=size_B1.device)
            .masked_fill(place_BT < 0, 1)
            .masked_fill(target_BT == 0, -1)
        )
        least_B1 = chance_BT.topk(min(places, chance_BT.shape[1]), dim=1).values[:, -1:]
        asked_BT = (chance_BT >= least_B1) & (target_BT > 0)
        return state_BTD[asked_BT], target_BT[asked_BT] - 1, vector_ID

    def window(self, history_BL2: Tensor) -> tuple[Tensor, Tensor]:
        """The last interactions of each history (B, T, 2), from the first place on, and where the last one is (B,)."""
        size_B = (history_BL2[..., 0] > 0).sum(1)
        start_B1 = (size_B - self.longest).clamp(min=0)[:, None]
        length = self.longest
        if not torch.compiler.is_exporting():
            length = min(-(-history_BL2.shape[1] // STRIDE) * STRIDE, self.longest)
        place_BT = start_B1 + torch.arange(length, device=history_BL2.device)
        return _taken(history_BL2, place_BT), (size_B.clamp(max=self.longest) - 1).clamp(min=0)


def _taken(history_BL2: Tensor, place_BT: Tensor) -> Tensor:
    """Some places of histories (B, T, 2), zeros for those before and beyond them."""
    inside_BT1 = ((place_BT >= 0) & (place_BT < (history_BL2[..., 0] > 0).sum(1, keepdim=True)))[..., None]
    place_BT2 = place_BT.clamp(0, history_BL2.shape[1] - 1)[..., None].expand(-1, -1, 2)
    return history_BL2.gather(1, place_BT2) * inside_BT1


def sized(size: str) -> dict[str, Any]:
    """The numbers that "small", "medium" and "large" stand for."""
    return {
        "small": {"width": 64, "layers": 2, "heads": 2},
        "medium": {"width": 128, "layers": 2, "heads": 4},
        "large": {"width": 256, "layers": 4, "heads": 4},
    }[size]
