"""Pinball loss: what makes an answer a quantile (Koenker and Bassett 1978).

Shapes: any axes before the last; Q quantiles in the last.
"""

from __future__ import annotations

from torch import Tensor


def pinball(answer_Q: Tensor, truth: Tensor, levels_Q: Tensor) -> Tensor:
    """Return the loss of each answer (..., Q): `level` for what the truth lies above it, 1 - `level` for below.

    truth: (...), NaN where unknown, of which the loss is NaN.
    """
    off_Q = truth[..., None] - answer_Q
    return (levels_Q - (off_Q < 0).to(off_Q.dtype)) * off_Q
