"""What positions of a text may look at, where that is not all there is.

Masks are True where a position may be looked at.

Shapes: B rows, T positions, S of those that are looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engram.core.vocabulary import BEGIN


def following(length: int, start: int, device: torch.device) -> Tensor | None:
    """Return what each of some positions that follow others may look at (T, S): those and itself; None for all."""
    if length == 1:
        return None
    place_S = torch.arange(start + length, device=device)
    return place_S[None] <= place_S[start:, None]


def one_document(text_BT: Tensor, looked_at_BS: Tensor | None = None) -> Tensor | None:
    """Return where two positions belong to one document (B, 1, T, S), or to a pair of such, each begun by BEGIN; None
    where rows hold one each.
    """
    begins_BT = text_BT == BEGIN
    if not torch.compiler.is_compiling() and not bool(begins_BT[:, 1:].any()):
        return None
    begins_BS = begins_BT if looked_at_BS is None else looked_at_BS == BEGIN
    return (begins_BT.cumsum(1)[:, :, None] == begins_BS.cumsum(1)[:, None, :])[:, None]


def both(one: Tensor, other: Tensor | None) -> Tensor:
    """What two masks allow."""
    return one if other is None else one & other
