"""An exponential moving average of weights.

Off by default: where the learning rate falls to zero, the last weights are an average already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """The moving average of a module's floating-point parameters and buffers, kept in fp32."""

    def __init__(self, module: nn.Module) -> None:
        self.values = {name: value.detach().clone() for name, value in tensors(module).items()}

    @torch.no_grad()
    def update(self, module: nn.Module, *, decay: float) -> None:
        """Move the average a share of `1 - decay` towards the module's present values."""
        now = tensors(module)
        torch._foreach_lerp_([self.values[name] for name in now], list(now.values()), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Write the average into a module of the same structure."""
        for name, value in tensors(module).items():
            value.copy_(self.values[name])


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Floating-point parameters and buffers by name."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: value.detach() for name, value in named.items() if value.is_floating_point()}


@torch.no_grad()
def reestimate_batchnorm(module: nn.Module, run: Any, batches: Iterable[Any]) -> None:
    """Estimate BatchNorm's running statistics again, as plain means over `batches`.

    Averaged weights never saw the statistics that their BatchNorm layers carry. `run(batch)` does a forward pass.
    """
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    was_training = module.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # None: the plain mean over all batches
    module.train()
    for batch in batches:
        run(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    module.train(was_training)
