"""Cross entropy of the tokens of a text: the loss of all that learns what comes next.

Shapes: B rows, T positions, V ids.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engram.core.vocabulary import PADDING


def token_cross_entropy(logits_BTV: Tensor, ids_BT: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the losses (B, T), in nats, float32; zero where `ids_BT` is PADDING.

    smoothing: share of the target spread evenly over all ids (Szegedy et al. 2016, arXiv:1512.00567).
    """
    if logits_BTV.requires_grad and logits_BTV.dtype == torch.bfloat16:
        loss_BT: Tensor = _InPlace.apply(logits_BTV, ids_BT, smoothing)
        return loss_BT
    loss_N = functional.cross_entropy(
        logits_BTV.float().flatten(0, 1), ids_BT.flatten(), label_smoothing=smoothing, ignore_index=PADDING,
        reduction="none",
    )  # fmt: skip
    return loss_N.view(ids_BT.shape)


class _InPlace(torch.autograd.Function):
    """The same in bfloat16: three passes over the logits where autograd takes a dozen over float32 ones.

    Probabilities are kept with bfloat16's 8 bits of relative precision, which is what the gradient has in the end.
    """

    @staticmethod
    def forward(ctx: Any, logits_BTV: Tensor, ids_BT: Tensor, smoothing: float) -> Tensor:
        """Losses (B, T); the gradient is made at once, in place of the probabilities."""
        at_BT1 = ids_BT[..., None]
        kept_BT1 = at_BT1 != PADDING
        gradient_BTV = logits_BTV.softmax(-1)
        log_right_BT1 = gradient_BTV.gather(-1, at_BT1).float().clamp_min(1e-30).log()
        log_mean_BT1 = log_right_BT1
        if smoothing:
            total_BT1 = logits_BTV.gather(-1, at_BT1).float() - log_right_BT1
            log_mean_BT1 = logits_BTV.sum(-1, keepdim=True).float() / logits_BTV.shape[-1] - total_BT1
            gradient_BTV.sub_(smoothing / logits_BTV.shape[-1])
        gradient_BTV.scatter_add_(-1, at_BT1, torch.full_like(at_BT1, smoothing - 1, dtype=gradient_BTV.dtype))
        ctx.save_for_backward(gradient_BTV, kept_BT1)
        return torch.lerp(log_right_BT1, log_mean_BT1, smoothing).neg_().mul_(kept_BT1).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """What the softmax gives beyond what is right, scaled in place as the losses count: once, then it is gone."""
        gradient_BTV, kept_BT1 = ctx.saved_tensors
        return gradient_BTV.mul_((grads[0][..., None] * kept_BT1).to(gradient_BTV.dtype)), None, None
