"""The floor that looks at nothing: how often each class occurs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.floors.floor import Batches, Floor


class MajorityClass(Floor):
    """Answer every input with the classes' frequencies in training: its answer is the most frequent one.

    Reads the role `label`: class numbers (B,), or yes or no (B, C) where an example has several labels.
    """

    def build(self, features: Any) -> nn.Module:
        """Return the module with all classes equally frequent."""
        return Constant(features.label.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Count the labels; one pass over them, whatever `seconds` says."""
        label = torch.cat([batch.label.cpu() for batch in batches("label")])
        module = Constant(features.label.size)
        module.logits.copy_(frequency_logits(label, features.label.size))
        return module


class Constant(nn.Module):
    """Give the same logits (C,) whatever comes in."""

    logits: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(num_classes))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return (B, C) for inputs whose first axis is B."""
        return self.logits.expand(len(inputs[0]), -1)


def frequency_logits(label: Tensor, num_classes: int) -> Tensor:
    """Return the logits (C,) of the frequencies of labels, (N,) class numbers or (N, C) yes or no.

    One imagined example is spread over all classes, so that a class that did not occur is not impossible.
    """
    if label.ndim == 2:
        share_C = (label.double().sum(0) + 0.5) / (len(label) + 1)
        return torch.logit(share_C).float()
    count_C = torch.bincount(label[label >= 0].long(), minlength=num_classes).double()
    return torch.log((count_C + 1 / num_classes) / (count_C.sum() + 1)).float()
