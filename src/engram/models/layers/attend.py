"""The inner loops of transformers, in the form that is fast where they run.

PyTorch's fused attention goes forward fast everywhere, and backward slowly on CPUs in bfloat16: there the three
products are taken one after another, 5 times as fast (LOG.md, 2026-11-25). Norm and activation have gradients
written by hand, which read memory half as often as those that autograd puts together.

Shapes: B rows, H heads, T positions (S of what is attended to), K width of a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-6

ROUNDED = 128
"""To a multiple of so many rows inputs of matrix products are filled up: few shapes come again and again."""


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """`functional.linear` of inputs (..., D), in training on CPUs with a number of rows that comes again.

    oneDNN writes code for every new shape, which takes as long as the product itself (LOG.md, 2026-11-25), and what it
    has written for a thousand others is forgotten.
    """
    rounded = x.requires_grad and x.device.type == "cpu" and x.dtype == torch.bfloat16
    if rounded and (lacking := -x.shape[:-1].numel() % ROUNDED):
        filled = functional.pad(x.flatten(0, -2), (0, 0, 0, lacking))
        return functional.linear(filled, weight)[:-lacking].unflatten(0, x.shape[:-1])
    return functional.linear(x, weight)


def attend(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Scaled dot-product attention: (B, H, T, K), (B, H, S, K), (B, H, S, K) -> (B, H, T, K).

    mask: True where a position may be looked at, broadcast to (B, H, T, S). causal: T = S, and none looks ahead.
    """
    if query.requires_grad and query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return _in_steps(query, key, value, mask=mask, causal=causal)
    if mask is not None and causal:
        mask, causal = mask & _earlier(query.shape[2], query.device), False
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)


def _in_steps(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None, causal: bool) -> Tensor:
    (B, H, T, K), S = query.shape, key.shape[2]
    bias = query.new_zeros(1, 1, T, S)
    if causal:
        bias = bias.masked_fill(~_earlier(T, query.device), -math.inf)
    if mask is not None:
        bias = bias.masked_fill(~mask, -math.inf).expand(B, H, T, S).reshape(B * H, T, S)
    else:
        bias = bias[0].expand(B * H, T, S)
    query, key, value = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
    score = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=K**-0.5)
    return (score.softmax(-1) @ value).view(B, H, T, K)


def _earlier(length: int, device: torch.device) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def normalised(x: Tensor) -> Tensor:
    """Bring the last axis to a mean square of 1."""
    return _Normalised.apply(x) if x.requires_grad else x * _scale(x)


def _scale(x: Tensor) -> Tensor:
    return (torch.linalg.vector_norm(x, dim=-1, keepdim=True) * x.shape[-1] ** -0.5 + EPSILON).reciprocal()


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = _scale(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """What is left of the gradient when its part along y is taken away, scaled as x was."""
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(grads[0], y).unsqueeze(-1) / y.shape[-1]
        return torch.addcmul(grads[0], y, along, value=-1).mul_(scale)


def half_square(x: Tensor) -> Tensor:
    """Half the square of what is above zero, whose gradient is what is above zero."""
    if x.requires_grad:
        return _HalfSquare.apply(x)
    above = functional.relu(x)
    return above.mul_(above).mul_(0.5)  # dividing takes as long as both


class _HalfSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        above = functional.relu(x)
        ctx.save_for_backward(above)
        return (above * above).div_(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient where x is above zero, times x."""
        (above,) = ctx.saved_tensors
        return grads[0] * above
