"""Muon: momentum, made orthogonal, for hidden weight matrices and convolution filters.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. The update of a matrix is replaced by the
nearest semi-orthogonal one, so that all directions learn at the same speed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def orthogonalise(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return the nearest semi-orthogonal matrix of each, in bfloat16; those of one shape together, which is faster."""
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for place, matrix in enumerate(matrices):
        alike[matrix.shape].append(place)
    found: dict[int, Tensor] = {}
    for places in alike.values():
        found |= zip(places, newton_schulz(torch.stack([matrices[place] for place in places])), strict=True)
    return [found[place] for place in range(len(matrices))]


def newton_schulz(matrices: Tensor, *, steps: int = 3) -> Tensor:
    """Return about U·Vᵀ of each matrix's singular value decomposition, by a quintic iteration.

    Works on (number, rows, columns) in bfloat16, which the iteration tolerates; singular values end near 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16()
    wide = x.size(1) <= x.size(2)
    x = x if wide else x.mT.contiguous()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # sums are rounded once
    return x if wide else x.mT


Divide = Callable[[Callable[[Sequence[Tensor]], list[Tensor]], Sequence[Tensor]], list[Tensor]]
"""Does some work on items, and may share it among processes."""


def by_oneself(work: Callable[[Sequence[Tensor]], list[Tensor]], items: Sequence[Tensor]) -> list[Tensor]:
    """Share nothing."""
    return work(items)


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum. Parameters need at least two axes; further axes are folded into the second.

    `rotate`: for weights followed by normalisation, whose length does not matter: each is kept at a length of
    sqrt(rows), so that `lr` is an angle. Without it the update has the length of a weight matrix of
    orthonormal rows times sqrt(max(1, rows / columns)), and `weight_decay` keeps lengths in bounds.
    `divide`: how several processes share the work; all must get the same.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        rotate: bool = False,
        divide: Divide = by_oneself,
    ) -> None:
        self.divide = divide
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "rotate": rotate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        moved = [(w, group) for group in self.param_groups for w in group["params"] if w.grad is not None]
        directions = [self._direction(weight, group["momentum"]) for weight, group in moved]
        updates = self.divide(orthogonalise, directions)
        for (weight, group), update in zip(moved, updates, strict=True):
            _move(weight, _as_weight(update, weight), group)

    def _direction(self, weight: Tensor, momentum: float) -> Tensor:
        """Where Nesterov's momentum points, as a matrix."""
        state, grad = self.state[weight], weight.grad
        assert grad is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        gathered = torch.add(grad, state["momentum"], alpha=momentum, out=state["momentum"])
        return _as_matrix(grad.add(gathered, alpha=momentum), weight)


def _as_matrix(direction: Tensor, weight: Tensor) -> Tensor:
    """A row for each output, its numbers in the order in which the weight's lie in memory: whatever the order, they are
    orthogonalised alike, and to bring channels-last filters to another takes as long as that."""
    laid_out = direction.permute(0, 2, 3, 1) if _channels_last(weight) else direction
    return laid_out.reshape(len(weight), -1)


def _as_weight(matrix: Tensor, weight: Tensor) -> Tensor:
    """A matrix as `_as_matrix` gives them, in the weight's shape."""
    if _channels_last(weight):
        outputs, inputs, height, width = weight.shape
        return matrix.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
    return matrix.view_as(weight)


def _channels_last(weight: Tensor) -> bool:
    return weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)


def _move(weight: Tensor, update: Tensor, group: dict[str, Any]) -> None:
    if group["rotate"]:
        weight.mul_(len(weight) ** 0.5 / weight.norm())
        weight.add_(update, alpha=-group["lr"])
    else:
        columns = weight.numel() // len(weight)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(update, alpha=-group["lr"] * max(1.0, len(weight) / columns) ** 0.5)
