"""Cross entropy: the loss of choosing one class.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logits_BC: Tensor,
    label_B: Tensor,
    *,
    smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    aims_CC: Tensor | None = None,
) -> Tensor:
    """Return the loss of each example (B,), in nats, float32; 0 where the label is unknown (-1).

    smoothing: share of the target spread evenly over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    class_weights: (C,), multiplies the loss of each class; None weighs all the same. aims_CC: what is aimed at for each
    class where that is not the class alone; see `engram.core.scale`.
    """
    known_B = label_B >= 0
    target = label_B if aims_CC is None else aims_CC.to(logits_BC.device)[label_B.clamp(min=0)]
    loss_B = functional.cross_entropy(
        logits_BC.float(), target, weight=class_weights, label_smoothing=smoothing, ignore_index=-1, reduction="none"
    )
    return loss_B if aims_CC is None else loss_B * known_B
