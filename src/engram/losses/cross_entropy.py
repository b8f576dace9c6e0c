"""Cross entropy: the loss of choosing one class.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logits_BC: Tensor, label_B: Tensor, *, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Return the loss of each example (B,), in nats, float32; 0 where the label is unknown (-1).

    smoothing: share of the target spread evenly over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    class_weights: (C,), multiplies the loss of each class; None weighs all the same.
    """
    return functional.cross_entropy(
        logits_BC.float(), label_B, weight=class_weights, label_smoothing=smoothing, ignore_index=-1, reduction="none"
    )
