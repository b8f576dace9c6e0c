"""Muon: momentum, made orthogonal, for hidden weight matrices and convolution filters.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. The update of a matrix is replaced by the
nearest semi-orthogonal one, so that all directions learn at the same speed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


def orthogonalise(matrices: Tensor, *, steps: int = 3) -> Tensor:
    """Return about U·Vᵀ of each matrix's singular value decomposition, by a quintic Newton-Schulz iteration.

    Works on (..., rows, columns) in bfloat16, which the iteration tolerates; singular values end near 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16().reshape(-1, *matrices.shape[-2:])
    wide = x.size(1) <= x.size(2)
    x = x if wide else x.mT.contiguous()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).reshape(matrices.shape).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum. Parameters need at least two axes; further axes are folded into the second.

    `rotate`: for weights followed by normalisation, whose length does not matter: each is kept at a length of
    sqrt(rows), so that `lr` is an angle. Without it the update has the length of a weight matrix of
    orthonormal rows times sqrt(max(1, rows / columns)), and `weight_decay` keeps lengths in bounds.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        rotate: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "rotate": rotate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; those of one shape together, which is faster."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[len(weight), weight.numel() // len(weight)].append(weight)
            for shape, weights in alike.items():
                directions = torch.stack([self._direction(weight, group).reshape(shape) for weight in weights])
                for weight, update in zip(weights, orthogonalise(directions), strict=True):
                    _move(weight, update.view_as(weight), group)

    def _direction(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        """The gradient and its momentum."""
        state, grad = self.state[weight], weight.grad
        assert grad is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].mul_(group["momentum"]).add_(grad)
        return grad.add(momentum, alpha=group["momentum"])


def _move(weight: Tensor, update: Tensor, group: dict[str, Any]) -> None:
    if group["rotate"]:
        weight.mul_(len(weight) ** 0.5 / weight.norm())
        weight.add_(update, alpha=-group["lr"])
    else:
        columns = weight.numel() // len(weight)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(update, alpha=-group["lr"] * max(1.0, len(weight) / columns) ** 0.5)
