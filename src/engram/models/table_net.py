"""The network for records of a table: many small networks that share their weights, and whose answers are averaged.

After TabM (Gorishniy et al. 2024, "Advancing tabular deep learning with parameter-efficient ensembling",
arXiv:2410.24210): each member has its own loss, so that members err differently and their mean errs less.

Shapes: B examples, F places of a record, K members, C outputs, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from engram.models.layers.columns import CategoryVectors, NumberVectors
from engram.models.layers.members import SharedLinear

RECIPE = {
    "optimizer.muon_learning_rate": 0.04,
    "optimizer.learning_rate": 6e-3,
    "optimizer.vector_learning_rate": 6e-3,
    "optimizer.head_learning_rate": 4e-3,
}
"""Numbers of the plan that were found best (LOG.md, 2026-11-25)."""


class TableNet(nn.Module):
    """A network that gives each encoded record (B, F) `num_classes` logits, or a number.

    num_numbers, num_categories: what the places of a record hold: numbers first, NaN where one is missing, then codes,
    of which all categories together have `num_codes`; see `know`. kind: what the logits are for, "softmax" or
    "sigmoid"; or "number" for the number itself and how far off it may be (B, 2). members: networks in one, which
    differ in how much they make of each column, and in their last layers. width, layers: of the hidden layers.
    columns: width of what one column says. ranges: in how many pieces a number is taken.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        *,
        num_numbers: int,
        num_categories: int,
        num_codes: int,
        num_classes: int = 2,
        kind: str = "softmax",
        members: int = 32,
        width: int = 128,
        layers: int = 2,
        columns: int = 16,
        ranges: int = 48,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.recipe = RECIPE
        self.kind, self.num_numbers = kind, num_numbers
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        places = num_numbers + num_categories
        self.numbers = NumberVectors(num_numbers, width=columns, ranges=ranges) if num_numbers else None
        self.categories = CategoryVectors(num_categories, num_codes, width=columns) if num_categories else None
        # One member's after another's, not as a matrix: they are vectors, and the optimizer is to treat them so.
        self.heed = nn.Parameter(torch.randn(members, places, 1).expand(-1, -1, columns).flatten())
        widths = [places * columns, *[width] * layers]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.output = SharedLinear(members, width, 2 if kind == "number" else num_classes)

    def know(self, cardinalities: Sequence[int], *, mean: float = 0.0, spread: float = 1.0) -> None:
        """Take what is known of the training rows: how many codes each category has, and the size of the number."""
        if self.categories is not None:
            self.categories.divide(cardinalities)
        self.mean.fill_(mean)
        self.spread.fill_(spread)

    @property
    def head(self) -> nn.Linear:
        """The last layer, by the name under which the optimizer looks for it."""
        return self.output.linear

    def initialise(self, record_BF: Tensor) -> None:
        """Set the ranges of numbers by some training rows."""
        if self.numbers is not None:
            self.numbers.initialise(record_BF[:, : self.num_numbers])

    def columns(self, record_BF: Tensor) -> Tensor:
        """Return what each column says, one after the other (B, D)."""
        parts = []
        if self.numbers is not None:
            parts.append(self.numbers(record_BF[:, : self.num_numbers]))
        if self.categories is not None:
            parts.append(self.categories(record_BF[:, self.num_numbers :]))
        return torch.cat(parts, 1).flatten(1)

    def members(self, record_BF: Tensor) -> Tensor:
        """Return the answer of each member (B, K, C)."""
        x_B1D = self.columns(record_BF)[:, None]
        x_BKD = x_B1D * self.heed.view(self.output.members, -1)
        for layer in self.hidden:
            x_BKD = layer(x_BKD).relu()
            if self.training:  # members do without the same: to draw for each by itself takes as long as all the rest
                x_BKD = x_BKD * self.dropout(torch.ones_like(x_BKD[:, :1]))
        output_BKC = self.output(x_BKD).float()
        if self.kind != "number":
            return output_BKC
        value_BK, spread_BK = output_BKC[..., 0], output_BKC[..., 1].exp()
        return torch.stack([self.mean + self.spread * value_BK, self.spread * spread_BK], 2)

    def together(self, members_BKC: Tensor) -> Tensor:
        """Return the answer (B, C) that the members' answers come to: mean numbers, or mean probabilities as logits."""
        if self.kind == "number":
            return members_BKC.mean(1)
        if self.kind == "sigmoid":
            return logsigmoid(members_BKC).logsumexp(1) - logsigmoid(-members_BKC).logsumexp(1)
        return members_BKC.log_softmax(2).logsumexp(1) - math.log(members_BKC.shape[1])

    def forward(self, record_BF: Tensor) -> Tensor:
        """(B, F) -> logits (B, num_classes), or numbers and their spread (B, 2)."""
        return self.together(self.members(record_BF))


def sized(size: str) -> dict[str, Any]:
    """The numbers that "small", "medium" and "large" stand for."""
    return {
        "small": {},
        "medium": {"width": 256},
        "large": {"width": 384, "layers": 3, "ranges": 64},
    }[size]
