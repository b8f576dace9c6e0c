"""From the columns of a record to vectors: what each number and each category says.

A number says something of its own in each of several ranges, between whose ends it is interpolated (Gorishniy et al.
2022, "On embeddings for numerical features in tabular deep learning", arXiv:2203.05556), beside something in
proportion to it.

Shapes: B examples, N numbers, C categories, T ranges of a number, D width of what one column says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FURTHEST = 10.0
"""Numbers come on a scale where nearly all are below this; further out nothing more is said."""

NOWHERE = 1e30
"""Where ranges begin that a number with few values does not need."""


class NumberVectors(nn.Module):
    """Turn numbers (B, N), NaN where one is missing, into vectors (B, N, D). `initialise` sets where ranges end."""

    begin: Tensor
    length: Tensor

    def __init__(self, numbers: int, *, width: int, ranges: int) -> None:
        super().__init__()
        self.shape = (numbers, ranges, width)
        self.register_buffer("begin", torch.linspace(-2, 2, ranges + 1)[:-1].repeat(numbers, 1))
        self.register_buffer("length", torch.full((numbers, ranges), 4 / ranges))
        # Tables of vectors, though numbers are looked up between their rows: the optimizer is to treat them so.
        self.range = nn.Embedding(numbers * ranges, width)
        self.slope, self.level, self.missing = (nn.Embedding(numbers, width) for _ in range(3))
        for table in (self.slope, self.level):
            nn.init.uniform_(table.weight, -(width**-0.5), width**-0.5)
        for table in (self.range, self.missing):  # nothing but a straight line at first
            nn.init.zeros_(table.weight)

    @torch.no_grad()
    def initialise(self, number_BN: Tensor) -> None:
        """Let ranges hold about as many examples each, or as many different values.

        Half of the ends are there for either: where nearly all examples have one value, the others differ too.
        """
        share = torch.linspace(0, 1, (self.shape[1] + 1) // 2, device=number_BN.device)
        for place, x_B in enumerate(number_BN.T):
            known = x_B[~x_B.isnan()]
            ends = torch.cat([x.quantile(share) for x in (known, known.unique()) if len(x)] or [known]).unique()
            used = max(0, len(ends) - 1)
            self.begin[place], self.length[place] = NOWHERE, 1.0
            self.begin[place, :used], self.length[place, :used] = ends[:-1], ends.diff()

    def forward(self, number_BN: Tensor) -> Tensor:
        """(B, N) -> (B, N, D)."""
        x_BN1 = number_BN.nan_to_num(0.0).clamp(-FURTHEST, FURTHEST)[..., None]
        within_BNT = ((x_BN1 - self.begin) / self.length).clamp(0, 1)
        known_BND = torch.einsum("bnt,ntd->bnd", within_BNT, self.range.weight.view(self.shape))
        known_BND = known_BND + x_BN1 * self.slope.weight + self.level.weight
        return torch.where(number_BN.isnan()[..., None], self.missing.weight, known_BND)


class CategoryVectors(nn.Module):
    """Turn codes (B, C) into vectors (B, C, D): each category has its own part of one table, from `first` on.

    codes: of all categories together, which `divide` shares out.
    """

    first: Tensor

    def __init__(self, categories: int, codes: int, *, width: int) -> None:
        super().__init__()
        self.register_buffer("first", torch.zeros(categories, dtype=torch.int64))
        self.vector = nn.Embedding(codes, width)
        nn.init.uniform_(self.vector.weight, -(width**-0.5), width**-0.5)

    @torch.no_grad()
    def divide(self, cardinalities: Sequence[int]) -> None:
        """Give each category as many vectors as it has codes; of the code 0, for unknown names, it says nothing."""
        self.first.copy_(torch.tensor([0, *cardinalities]).cumsum(0)[:-1])
        self.vector.weight[self.first] = 0.0

    def forward(self, code_BC: Tensor) -> Tensor:
        """(B, C) -> (B, C, D)."""
        vectors_BCD: Tensor = self.vector(code_BC.long() + self.first)
        return vectors_BCD
