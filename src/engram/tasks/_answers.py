"""Answers of tasks that give labels, as JSON holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class LabelOptions:
    """Options of an answer. top: how many labels to name with their probabilities."""

    top: int = field(default=5, metadata={"help": "how many labels to name with their probabilities"})


def label_answers(probabilities_BC: Tensor, names: Sequence[str], *, top: int) -> list[dict[str, Any]]:
    """One label each: {"label", "probability", "probabilities": {name: probability of the likeliest `top`}}."""
    return [
        {"label": next(iter(ranked)), "probability": next(iter(ranked.values())), "probabilities": ranked}
        for ranked in _ranked(probabilities_BC, names, top=top)
    ]


def tag_answers(probabilities_BC: Tensor, names: Sequence[str], *, top: int) -> list[dict[str, Any]]:
    """Any number of labels each: {"labels": those above one half, "probabilities"}."""
    chosen = [[names[i] for i in row.nonzero().flatten().tolist()] for row in probabilities_BC > 0.5]
    ranked = _ranked(probabilities_BC, names, top=top)
    return [{"labels": labels, "probabilities": row} for labels, row in zip(chosen, ranked, strict=True)]


def _ranked(probabilities_BC: Tensor, names: Sequence[str], *, top: int) -> list[dict[str, float]]:
    values, indices = probabilities_BC.topk(min(max(1, top), len(names)), dim=-1)
    return [
        {names[i]: round(p, 6) for i, p in zip(row_i, row_p, strict=True)}
        for row_i, row_p in zip(indices.tolist(), values.tolist(), strict=True)
    ]
