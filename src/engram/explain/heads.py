"""What the heads of attention look at: caught where PyTorch computes attention, so that any network's are seen.

Shapes: B rows, H heads, T positions (S of what is looked at), K width of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PLENTY = 0.3
"""Share of its attention from which on a head is said to look somewhere."""


@dataclass(frozen=True)
class Head:
    """One head of one layer, both from 1. Shares of its attention: on the position itself, the one before, the first
    one; distance: mean number of positions away; focus: the mean of the largest share that goes to one position."""

    layer: int
    number: int
    itself: float
    before: float
    first: float
    distance: float
    focus: float

    @property
    def said(self) -> str:
        """What it does, in a few words."""
        if self.before >= PLENTY:
            return "looks at the one before"
        if self.first >= PLENTY:
            return "rests on the first place, which is doing nothing"
        if self.itself >= PLENTY:
            return "looks at the place itself"
        return "looks at single places" if self.focus >= PLENTY else "spreads over many places"


def heads(call: Callable[[], Any]) -> list[Head]:
    """Run a network and judge each head of self-attention that it uses, layer by layer."""
    watch = _Attention()
    with torch.inference_mode(), watch:
        call()
    return [head for layer, weight in enumerate(watch.found, 1) for head in _judged(layer, weight)]


class _Attention(TorchFunctionMode):
    """Collects the weights (B, H, T, S) of every attention of positions to one another."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            self._note(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _note(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *_: Any,
        is_causal: bool = False, **__: Any,
    ) -> None:  # fmt: skip
        if query.ndim != 4 or query.shape[2] != key.shape[2] or query.shape[2] < 2:
            return
        score = query.float() @ key.float().transpose(2, 3) * key.shape[-1] ** -0.5
        if is_causal:
            score = score.masked_fill(~torch.ones_like(score[0, 0], dtype=torch.bool).tril(), -torch.inf)
        if attn_mask is not None:
            score = score.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else score + attn_mask
        self.found.append(score.softmax(-1).nan_to_num())


def _judged(layer: int, weight_BHTS: Tensor) -> list[Head]:
    place = torch.arange(weight_BHTS.shape[-1], dtype=torch.float32)
    away_TS = (place[:, None] - place[None]).abs()
    later = weight_BHTS[:, :, 1:]  # the first position has nothing before it
    itself = weight_BHTS.diagonal(dim1=2, dim2=3)[..., 1:].mean((0, 2))
    before = weight_BHTS.diagonal(offset=-1, dim1=2, dim2=3).mean((0, 2))
    first = later[..., 1:, 0].mean((0, 2)) if later.shape[2] > 1 else later[..., 0].mean((0, 2))
    distance = (weight_BHTS * away_TS).sum(-1).mean((0, 2))
    focus = later.amax(-1).mean((0, 2))
    columns = [column.tolist() for column in (itself, before, first, distance, focus)]
    return [Head(layer, number, *values) for number, values in enumerate(zip(*columns, strict=True), 1)]
