"""Squared error: the loss of saying a number.

Shapes: B examples.
"""

from __future__ import annotations

from torch import Tensor


def squared_error(value_B: Tensor, label_B: Tensor, *, unit: float = 1.0) -> Tensor:
    """Return the squared error of each example (B,), float32, in squares of `unit`."""
    return ((value_B.float() - label_B) / unit).square()
