"""The loss of saying how far off one is: least where the spread is the mean distance from the truth.

Shapes: B examples.
"""

from __future__ import annotations

from torch import Tensor


def laplace(spread_B: Tensor, off_B: Tensor, *, unit: float = 1.0) -> Tensor:
    """Return -log(density) of each example (B,), but for a constant, if errors follow Laplace's distribution.

    spread_B: what is said, above 0. off_B: the errors, through which no gradient goes. unit: of the density.
    """
    return off_B.detach().abs() / spread_B + (spread_B / unit).log()
