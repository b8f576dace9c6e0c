"""Tell now and then how strongly each layer is pulled: gradients that vanish or burst are seen in time.

What is told depends on nothing that a clock says, as with `Reporting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from engram.core.events import emit
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

if TYPE_CHECKING:
    from torch import Tensor

PARTS = 40
"""Gradients are told at the beginning of each of so many parts of the way."""


class Gradients(Callback):
    """Emit "gradients" events: of each layer with a matrix, the gradient's length beside that of its weights."""

    def __init__(self) -> None:
        self.part = -1

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Which part was told last."""
        return {}, {"part": self.part}

    def load_state(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.part = facts["part"]

    def before_update(self, trainer: Trainer, *, loss: float, gradient_norm: float) -> None:
        """Look at the gradients, as they are after clipping, at the first step of each part."""
        part = int(trainer.pace.progress * PARTS)
        if part == self.part:
            return
        self.part = part
        named = [
            (name, parameter, parameter.grad)
            for name, parameter in trainer.model.named_parameters()
            if parameter.ndim > 1 and parameter.grad is not None
        ]
        lengths = [torch.linalg.vector_norm(tensor.detach().float()) for _, *pair in named for tensor in pair]
        found = torch.stack(lengths).view(-1, 2).tolist() if lengths else []
        layers = {
            name.rpartition(".")[0] or name: float(f"{gradient / max(weight, 1e-20):.4g}")
            for (name, _, _), (weight, gradient) in zip(named, found, strict=True)
        }
        emit("gradients", step=trainer.pace.step, layers=layers)
