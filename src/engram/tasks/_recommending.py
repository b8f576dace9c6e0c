"""What tasks share that rank items for users: their answers, and what networks are told of items.

Shapes: B users, I items, K recommended, L interactions of the longest history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

OUT = -1e4
"""The score of what is not to be recommended: below all others, and a number in half precision too."""


@dataclass
class RecommendationOptions:
    """Options of a recommendation."""

    k: int = field(default=10, metadata={"help": "how many items to recommend"})
    include_seen: bool = field(default=False, metadata={"help": "recommend what was taken before too"})


def described_by(history: Any, make: Callable[[dict[str, int]], nn.Module]) -> nn.Module:
    """Make a network for the items of a fitted feature, and tell it what is known of them."""
    marks, begins, known = history.catalogue.marks
    network = make({"num_items": history.size, "num_marks": len(known), "of_all": len(marks)})
    network.describe(history.popularity, marks, begins)  # type: ignore[operator]
    return network


def without(score_BI: Tensor, history_BL2: Tensor) -> Tensor:
    """Scores with those of a history's items far below all others."""
    number_BL = history_BL2[..., 0].long().clamp(min=0)
    out_BI = torch.zeros_like(score_BI[:, :1]).repeat(1, score_BI.shape[1] + 1).scatter(1, number_BL, OUT)[:, 1:]
    return torch.where(out_BI < 0, OUT, score_BI)


def answers(score_BI: Tensor, catalogue: Any, options: RecommendationOptions) -> list[dict[str, Any]]:
    """The items ranked first: {"items": [{"item", "title", "score"}]}."""
    score_BK, item_BK = score_BI.topk(min(options.k, score_BI.shape[1]), dim=1)
    return [
        {"items": [_described(catalogue, i, s) for i, s in zip(items, scores, strict=True) if s > OUT]}
        for items, scores in zip(item_BK.tolist(), score_BK.tolist(), strict=True)
    ]


def _described(catalogue: Any, number: int, score: float) -> dict[str, Any]:
    """An item as an answer names it."""
    title = {"title": catalogue.titles[number]} if catalogue.titles else {}
    return {"item": catalogue.names[number], **title, "score": round(score, 4)}
