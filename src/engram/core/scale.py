"""Classes that are steps of a scale: learning aims at a step's neighbours too, so that near misses cost less.

Soft labels that fall off with the squared distance (Diaz and Marathe 2019, "Soft labels for ordinal regression").

Shapes: C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

FALL = 1.5
"""How fast: a neighbour counts 0.22 times as much as the step itself, the next one 0.002 (LOG.md, 2026-11-26)."""


def aims(num_classes: int, *, ordered: bool) -> Tensor:
    """Return (C, C): what is aimed at for each class, adding up to 1; that class alone where they are no steps."""
    if not ordered:
        return torch.eye(num_classes)
    place_C = torch.arange(num_classes)
    return (-FALL * (place_C[:, None] - place_C).square()).softmax(1)
