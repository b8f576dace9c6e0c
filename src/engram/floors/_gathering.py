"""What floors read: all training rows, or an even share of what is too much for memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from engram.floors.floor import Batches


def gathered(
    batches: Batches, role: str, *, take: Callable[[Tensor], Tensor], room: int, until: float
) -> tuple[list[Tensor], Tensor]:
    """Return what `take` makes of a role's values, a tensor with the example as first axis for each batch, and labels.

    Whenever more than `room` numbers are held, every second row is let go and from then on every second one taken.
    until: a `time.monotonic()` value after which reading ends early.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    count = seen = 0
    step = 1
    for batch in batches(role, "label"):
        offset = -seen % step
        seen += len(batch.label)
        kept.append((take(getattr(batch, role)[offset::step].detach()).cpu(), batch.label[offset::step].cpu()))
        count += kept[-1][0].numel()
        if count > room:
            kept = [(values[::2].clone(), label[::2].clone()) for values, label in kept]
            count, step = sum(values.numel() for values, _ in kept), 2 * step
        if time.monotonic() > until:
            break
    return [values for values, _ in kept], torch.cat([label for _, label in kept])
