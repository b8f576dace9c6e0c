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
    query, key, value = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
    bias = query.new_zeros(1, 1, T, S)
    if causal:
        bias = bias.masked_fill(~_earlier(T, query.device), -math.inf)
    if mask is not None:
        bias = bias.masked_fill(~mask, -math.inf)
    score = torch.add(bias, (query @ key.transpose(1, 2)).view(B, H, T, S), alpha=K**-0.5)
    return (score.softmax(-1).flatten(0, 1) @ value).view(B, H, T, K)


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
        """Read memory as seldom as can be."""
        return _through_norm(grads[0], *ctx.saved_tensors)


def _through_norm(grad: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient of what a norm was given: the part along y is taken away, and the rest scaled as x was."""
    along = (grad * y).sum(-1, keepdim=True) / y.shape[-1]
    return torch.addcmul(grad, y, along, value=-1).mul_(scale)


def heads(x_BTNHK: Tensor, rotation: tuple[Tensor, Tensor] | None = None, *, turned: int) -> tuple[Tensor, ...]:
    """Part what one product gives into N tensors (B, H, T, K), as attention reads them.

    The first `turned` of them are normalised, and pairs of their numbers, one from each half of a head, turned by the
    angles of their positions, whose cosines and sines `rotation` holds.
    """
    cosine_sine = (None, None) if rotation is None else (each.unsqueeze(-2) for each in rotation)
    if x_BTNHK.requires_grad and not torch.compiler.is_compiling():  # graphs write into nothing that has a gradient
        parts: tuple[Tensor, ...] = _Heads.apply(x_BTNHK, turned, *cosine_sine)
        return parts
    y = normalised(x_BTNHK[:, :, :turned])
    both = [_turned(y, *cosine_sine), x_BTNHK[:, :, turned:]]
    return tuple(part.transpose(1, 2) for some in both for part in some.unbind(2))


def _turned(y: Tensor, cosine: Tensor | None, sine: Tensor | None) -> Tensor:
    if cosine is None or sine is None:
        return y
    first, second = y.chunk(2, dim=-1)
    return y * cosine + torch.cat([second, first], dim=-1) * sine


def _turn(y: Tensor, cosine: Tensor | None, sine: Tensor | None, *, out: Tensor, back: bool = False) -> None:
    """The same without copies of halves. back: turn back."""
    if cosine is None or sine is None:
        out.copy_(y)
        return
    half, sign = y.shape[-1] // 2, -1 if back else 1
    torch.mul(y, cosine, out=out)
    out[..., :half].addcmul_(y[..., half:], sine[..., :half], value=sign)
    out[..., half:].addcmul_(y[..., :half], sine[..., half:], value=sign)


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_BTNHK: Tensor, turned: int, cosine: Tensor | None, sine: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Write each number once, where attention reads it."""
        B, T, N, H, K = x_BTNHK.shape
        found_NBHTK = x_BTNHK.new_empty(N, B, H, T, K)
        found_BTNHK = found_NBHTK.permute(1, 3, 0, 2, 4)
        scale = _scale(x_BTNHK[:, :, :turned])
        _turn(x_BTNHK[:, :, :turned] * scale, cosine, sine, out=found_BTNHK[:, :, :turned])
        found_BTNHK[:, :, turned:] = x_BTNHK[:, :, turned:]
        ctx.save_for_backward(found_NBHTK[:turned], scale, cosine, sine)
        return found_NBHTK.unbind()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Turned back, where the norm's gradient can be taken before: turning changes no product of two."""
        found_NBHTK, scale, cosine, sine = ctx.saved_tensors
        B, H, T, K = grads[0].shape
        gradient_BTNHK = grads[0].new_empty(B, T, len(grads), H, K)
        for place, grad in enumerate(grads):
            here, grad = slice(place, place + 1), grad.transpose(1, 2)[:, :, None]
            if place < len(found_NBHTK):
                y_BT1HK = found_NBHTK[here].permute(1, 3, 0, 2, 4)
                grad = _through_norm(grad, y_BT1HK, scale[:, :, here])
                _turn(grad, cosine, sine, out=gradient_BTNHK[:, :, here], back=True)
            else:
                gradient_BTNHK[:, :, here] = grad
        return gradient_BTNHK, None, None, None


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
        return torch.addcmul(above.new_zeros(()), above, above, value=0.5)  # in one pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient where x is above zero, times x."""
        (above,) = ctx.saved_tensors
        return grads[0] * above
