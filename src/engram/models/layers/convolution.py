"""3×3 convolution whose weight gradient is fast on CPUs with matrix units.

oneDNN's bfloat16 weight gradient reduces along the rows of a picture, and on small maps (rows of 3 to 8)
it leaves the matrix units starved: 0.2–0.5 TFLOP/s where the forward pass reaches 2. Laid side by side,
with one zero column between them, which is the convolution's own padding, many small pictures make one
wide one. The sum is the same, and it is found 2.5 to 5 times faster (LOG.md, 2026-11-22).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDEST = 8
"""Maps wider than this are fast enough as they are."""

_backward = torch.ops.aten.convolution_backward


def _lay_side_by_side(maps_BCHW: Tensor, count: int) -> Tensor:
    """(B, C, H, W) -> (B / count, C, H, count · (W + 1)), one zero column after each map, channels last."""
    B, C, H, W = maps_BCHW.shape
    wide = maps_BCHW.new_empty(B // count, H, count, W + 1, C)
    wide[..., W, :].zero_()
    wide[..., :W, :].copy_(maps_BCHW.permute(0, 2, 3, 1).reshape(B // count, count, H, W, C).transpose(1, 2))
    return wide.view(B // count, H, count * (W + 1), C).permute(0, 3, 1, 2)


def _group(batch: int) -> int:
    """How many maps to lay side by side: a divisor of the batch size, around 50."""
    return next((n for n in (50, 64, 48, 40, 32, 25, 20, 16, 10, 8, 5, 4, 2) if batch % n == 0), 1)


class _Convolution(torch.autograd.Function):
    """3×3, padding 1, stride 1, no bias; differs from functional.conv2d in how the weight gradient is computed."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, weight: Tensor) -> Tensor:
        weight = weight.to(x_BCHW.dtype, memory_format=torch.channels_last)
        ctx.save_for_backward(x_BCHW, weight)
        return functional.conv2d(x_BCHW, weight, padding=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the input, as usual, and of the weight, from maps laid side by side."""
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _backward(grad, x, weight, None, *geometry, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            if (count := _group(len(x))) > 1:
                x, grad = _lay_side_by_side(x, count), _lay_side_by_side(grad, count)
            grad_weight = _backward(grad, x, weight, None, *geometry, [False, True, False])[1].float()
        return grad_x, grad_weight


class Convolution3x3(nn.Conv2d):
    """A 3×3 convolution, padding 1, without bias; begins as the identity as far as channels reach (Dirac)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)
        with torch.no_grad():
            nn.init.dirac_(self.weight[: min(in_channels, out_channels)])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        bf16 = torch.is_autocast_enabled("cpu") or x_BCHW.dtype == torch.bfloat16
        if self.training and bf16 and x_BCHW.device.type == "cpu" and x_BCHW.shape[-1] <= WIDEST:
            return _Convolution.apply(x_BCHW.bfloat16(), self.weight)
        return super().forward(x_BCHW)
