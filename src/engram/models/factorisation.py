"""Matrix factorisation for ratings, whose users are found by a closed form.

A rating is a mean, what is usual for the item, and the product of an item's vector with a user's. Only items' vectors
are learned: a user's vector is the ridge solution for the ratings the user gave, so that a new user needs no training,
and what is learned is what predicts ratings that the solution has not seen (Bertinetto et al. 2019, "Meta-learning with
differentiable closed-form solvers", arXiv:1805.08136). What a user took at all says something too, whatever the rating
(Koren 2008, "Factorization meets the neighborhood", SVD++).

Shapes: B users, L interactions of the longest, I items, K members, D width, M marks of all items.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engram.models.layers.marks import MarkedItems

SPREAD = 0.2


class Factorisation(nn.Module):
    """Gives histories (B, L, 2), of items' numbers from 1 on and ratings in spreads from the mean, the ratings (B, I)
    of all items as users write them. Several members that began otherwise answer together.

    num_marks, of_all: see `MarkedItems`. mean, spread, low, high: of ratings.
    """

    recipe: ClassVar[dict[str, object]] = {
        "batch_size": 128,
        "precision": "float32",
        "optimizer.muon_learning_rate": 0.0,
        "optimizer.learning_rate": 5e-3,
        "optimizer.vector_learning_rate": 5e-3,
        "optimizer.weight_decay": 2.0,
        "optimizer.beta2": 0.99,
    }

    def __init__(
        self,
        *,
        num_items: int,
        num_marks: int = 0,
        of_all: int = 0,
        width: int = 16,
        members: int = 4,
        mean: float = 0.0,
        spread: float = 1.0,
        low: float = -10.0,
        high: float = 10.0,
    ) -> None:
        super().__init__()
        self.width, self.members = width, members
        self.mean, self.spread, self.low, self.high = mean, spread, low, high
        across = members * (2 * width + 1)  # of each member: a vector, one that speaks by being taken, a bias
        self.items = MarkedItems(num_items, across, num_marks=num_marks, of_all=of_all, spread=SPREAD)
        self.log_ridge = nn.Parameter(torch.full((members, width + 1), 1.5))

    def describe(self, popularity: np.ndarray, marks: np.ndarray, begins: np.ndarray) -> None:
        """Take note of what is known of items; see `MarkedItems`."""
        self.items.describe(popularity, marks, begins)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of all items: vectors and a one (K, I, D + 1), what being taken says (K, I, D + 1), bias (K, I)."""
        found_IX = self.items()
        found_KIX = found_IX.view(len(found_IX), self.members, -1).transpose(0, 1)
        vector_KID, taken_KID, bias_KI1 = found_KIX.split([self.width, self.width, 1], dim=2)
        one_KI1 = torch.ones_like(bias_KI1)
        return torch.cat([vector_KID, one_KI1], 2), torch.cat([taken_KID, 0 * one_KI1], 2), bias_KI1[..., 0]

    def users(self, history_BL2: Tensor, known_BL: Tensor, items: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return the vectors of users (K, B, D + 1) by the ratings that are known."""
        vector_KID, taken_KID, bias_KI = items
        place_BL, there_BL1 = (history_BL2[..., 0].long() - 1).clamp(min=0), (history_BL2[..., :1] > 0).float()
        known_BL1 = known_BL[..., None].float()
        number_B1 = there_BL1.sum(1).clamp(min=1)
        found = []
        for vector_ID, taken_ID, bias_I, ridge_D in zip(
            vector_KID, taken_KID, bias_KI, self.log_ridge.exp(), strict=True
        ):
            prior_BD = (taken_ID[place_BL] * there_BL1).sum(1) / number_B1.sqrt()
            vector_BLD = vector_ID[place_BL] * known_BL1
            left_BL1 = (history_BL2[..., 1] - bias_I[place_BL])[..., None] * known_BL1 - vector_BLD @ prior_BD[
                ..., None
            ]
            gram_BDD = vector_BLD.mT @ vector_BLD + torch.diag(ridge_D)
            found.append(prior_BD + solved(gram_BDD, vector_BLD.mT @ left_BL1)[..., 0])
        return torch.stack(found)

    def forward(self, history_BL2: Tensor) -> Tensor:
        """(B, L, 2) -> ratings of all items (B, I)."""
        items = self.parts()
        user_KBD = self.users(history_BL2, history_BL2[..., 0] > 0, items)
        said_BI = (torch.einsum("kbd,kid->kbi", user_KBD, items[0]) + items[2][:, None]).mean(0)
        return (self.mean + self.spread * said_BI).clamp(self.low, self.high)

    def learning(self, history_BL2: Tensor, asked_BL: Tensor) -> Tensor:
        """Return what each member says of the ratings that are asked for (K, P), by the others; in spreads."""
        items = self.parts()
        user_KBD = self.users(history_BL2, (history_BL2[..., 0] > 0) & ~asked_BL, items)
        row, column = asked_BL.nonzero(as_tuple=True)
        place_P = history_BL2[row, column, 0].long() - 1
        return (user_KBD[:, row] * items[0][:, place_P]).sum(2) + items[2][:, place_P]


def solved(gram_BDD: Tensor, right_BD1: Tensor) -> Tensor:
    """Solve for positive definite matrices; in an exported graph by elimination, since ONNX has no operator for it."""
    if not torch.compiler.is_exporting():
        return torch.linalg.solve(gram_BDD, right_BD1)
    both_BDX = torch.cat([gram_BDD, right_BD1], dim=2)
    for place in range(gram_BDD.shape[1]):
        row_B1X = both_BDX[:, place : place + 1] / both_BDX[:, place : place + 1, place : place + 1]
        rest_BDX = both_BDX - both_BDX[:, :, place : place + 1] * row_B1X
        both_BDX = torch.cat([rest_BDX[:, :place], row_B1X, rest_BDX[:, place + 1 :]], dim=1)
    return both_BDX[:, :, -1:]


def sized(size: str) -> dict[str, Any]:
    """The numbers that "small", "medium" and "large" stand for."""
    return {
        "small": {"width": 16, "members": 4},
        "medium": {"width": 32, "members": 6},
        "large": {"width": 64, "members": 8},
    }[size]
