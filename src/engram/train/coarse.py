"""Pictures seen smaller at first: what is large in them is learned in half the time, and what is small comes after.

Progressive resizing, as in Howard et al.'s entry to DAWNBench (2018) and Tan and Le 2021, arXiv:2104.00298.
"""

from __future__ import annotations

from torch import Tensor, nn

from engram.core.task import Batch, with_tensors

SHARE = 0.7
"""Of each side."""

COST = 0.6
"""What a step costs then, beside one with whole pictures, on networks of convolutions (LOG.md, 2026-11-26)."""


def coarser(batch: Batch) -> Batch:
    """The batch with all pictures (four axes) smaller, averaged so that nothing aliases."""
    return Batch(**{name: with_tensors(value, _smaller) for name, value in vars(batch).items()})


def _smaller(value: Tensor) -> Tensor:
    if value.ndim != 4:
        return value
    size = [max(1, round(SHARE * side)) for side in value.shape[2:]]
    return nn.functional.interpolate(value, size=size, mode="bilinear", antialias=True)


def mean_cost(until: float) -> float:
    """What a step costs on average where pictures are smaller for a share of the time, beside one with whole ones."""
    return 1 / (until / COST + 1 - until)
