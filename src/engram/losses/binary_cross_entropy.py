"""Binary cross entropy: the loss of saying yes or no to every class.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def binary_cross_entropy(
    logits_BC: Tensor, label_BC: Tensor, *, smoothing: float = 0.0, positive_weights: Tensor | None = None
) -> Tensor:
    """Return the loss of each example (B,), in nats, float32: the mean over classes.

    label_BC: 1 yes, 0 no. smoothing: targets move this far towards one half (0.1: 0.05 and 0.95).
    positive_weights: (C,), multiplies the loss of the yes of each class; None weighs all the same.
    """
    target_BC = label_BC.float() * (1 - smoothing) + smoothing / 2
    loss_BC = functional.binary_cross_entropy_with_logits(
        logits_BC.float(), target_BC, pos_weight=positive_weights, reduction="none"
    )
    return loss_BC.mean(1)
