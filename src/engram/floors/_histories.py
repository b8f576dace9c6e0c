"""Histories as floors read them: which user took which item, without an order.

Shapes: B users, L interactions of the longest, E interactions of all, I items, K of them that count.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engram.floors.floor import Batches

MOST_ITEMS = 20_000
"""Closed forms over all pairs of items are for so many of them at most."""

SPEED, LEAST_USERS = 2e10, 1000
"""Multiplications a second by which it is said how many users there is time for, and the fewest that are looked at."""

LEAST_TAKEN = 3
"""Interactions of an item from which on its pairs say something."""


def taken(batch: Any, *, all_known: bool = True) -> tuple[Tensor, Tensor]:
    """Return the row (E,) and the item (E,), from 0 on, of every interaction: those known, and those that followed
    unless `all_known` is False.
    """
    history_BS = batch.history[..., 0].long()
    if all_known:
        history_BS = torch.cat([history_BS, batch.wanted.clamp(min=0)], 1)
    row, place = (history_BS > 0).nonzero(as_tuple=True)
    return row, history_BS[row, place] - 1


def counted(batches: Batches, num_items: int) -> Tensor:
    """How often each item was taken (I,)."""
    total = torch.zeros(num_items, dtype=torch.int64)
    for batch in batches("history"):
        total += torch.bincount(taken(batch)[1], minlength=num_items)
    return total


def worth_pairing(count_I: Tensor, *, most: int = MOST_ITEMS) -> Tensor:
    """The items (K,) whose pairs are looked at: those taken often enough, of too many the most popular."""
    often = (count_I >= LEAST_TAKEN).nonzero().flatten()
    return often[count_I[often].argsort(descending=True, stable=True)][:most].sort().values


def pairs_together(
    batches: Batches, kept_K: Tensor, num_items: int, *, seconds: float, all_known: bool = True
) -> Tensor:
    """Return how often each two items were taken by one user (K, K), of as many users as there should be time for.

    That number hangs on `seconds` alone, so that a busy machine changes nothing.
    """
    most = max(LEAST_USERS, int(seconds * SPEED / max(1, len(kept_K)) ** 2))
    together_KK, seen = torch.zeros(len(kept_K), len(kept_K)), 0
    place_I = torch.full((num_items,), -1)
    place_I[kept_K] = torch.arange(len(kept_K))
    for batch in batches("history"):
        row, item = taken(batch, all_known=all_known)
        inside = place_I[item] >= 0
        user_BK = torch.zeros(len(batch.history), len(kept_K))
        user_BK[row[inside], place_I[item[inside]]] = 1
        together_KK.addmm_(user_BK.T, user_BK)
        seen += len(user_BK)
        if seen >= most:
            break
    return together_KK
