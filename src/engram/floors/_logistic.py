"""Logistic regression, multinomial or with several labels, by L-BFGS in whitened coordinates.

In the coordinates u with W = L^-T u, where L L^T is half the features' covariance plus the ridge, the
curvature of the loss is at most one in every direction (Böhning 1992, "Multinomial logistic regression
algorithm"), so that some twenty steps do what hundreds do on raw pixels.

Shapes: N examples, D features, C classes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

RIDGES = (10_000.0, 1_000.0, 100.0, 10.0, 1.0)
"""Strengths tried, strongest first: the ridge is strength / 2 times the squared weights, beside the summed loss."""

_CHOOSING_ROWS = 5_000  # the best strength hardly depends on N, so that more rows are not needed to choose it
_FOLDING_ROWS = 2_000  # where rows are few, one held-out share is too noisy to choose by
_STEPS = 20


@dataclass
class _Weights:
    """The weights (D, C) of standardised features and the bias (C,)."""

    weight: Tensor
    bias: Tensor


def fit_logistic(
    x_ND: Tensor, label: Tensor, *, num_classes: int, until: float, strength: float | None = None
) -> dict[str, Tensor]:
    """Fit and return {"weight": (C, D), "bias": (C,), "ridge": ()} for features as they come; `x_ND` is overwritten.

    label: class numbers (N,), -1 left out, or yes or no (N, C). until: a `time.monotonic()` value after
    which the steps end early; before it the result depends on the data alone. strength: one of `RIDGES`; None chooses.
    """
    if label.ndim == 1 and bool((label < 0).any()):
        x_ND, label = x_ND[label >= 0], label[label >= 0]
    mean_D, deviation_D = standardise(x_ND)
    some_N = torch.randperm(len(x_ND), generator=torch.Generator().manual_seed(0))[:_CHOOSING_ROWS]
    some_x, some_label = x_ND[some_N], label[some_N]
    covariance_DD = some_x.T @ some_x / max(len(some_x), 1)
    start = _Weights(x_ND.new_zeros(x_ND.shape[1], num_classes), x_ND.new_zeros(num_classes))
    if strength is None:
        strength, start = _choose_strength(some_x, some_label, covariance_DD, start, until)
    weights = _descend(x_ND, label, covariance_DD, strength, start, until)
    weight_DC = weights.weight / deviation_D[:, None]
    bias = weights.bias - mean_D @ weight_DC
    return {"weight": weight_DC.T.contiguous(), "bias": bias, "ridge": torch.tensor(strength)}


def standardise(x_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Bring each feature to mean 0 and deviation 1 in place; features that hardly vary stay small. Return both (D,)."""
    mean_D = x_ND.mean(0)
    x_ND -= mean_D
    deviation_D = x_ND.square().mean(0).sqrt()
    deviation_D += 0.03 * deviation_D.mean() + 1e-12
    x_ND /= deviation_D
    return mean_D, deviation_D


def _choose_strength(
    x_ND: Tensor, label: Tensor, covariance_DD: Tensor, zero: _Weights, until: float
) -> tuple[float, _Weights]:
    """Return the strength with the smallest loss on rows that were held out, and weights to go on from."""
    folds = 5 if len(x_ND) <= _FOLDING_ROWS else 1
    losses = torch.zeros(len(RIDGES))
    fitted: list[_Weights] = []
    fold_N = torch.arange(len(x_ND)) % 5
    for fold in range(min(folds, len(x_ND)) if len(x_ND) > 1 else 0):
        held_N, weights, fitted = fold_N == fold, zero, []
        for index, strength in enumerate(RIDGES):
            weights = _descend(x_ND[~held_N], label[~held_N], covariance_DD, strength, weights, until)
            losses[index] += _loss(x_ND[held_N] @ weights.weight + weights.bias, label[held_N])
            fitted.append(weights)
    best = int(losses.argmin())
    return RIDGES[best], fitted[best] if fitted else zero


def _root(covariance_DD: Tensor, ridge: float) -> Tensor:
    """Return the lower triangle L with L L^T = covariance / 2 + ridge."""
    curvature_DD = covariance_DD / 2
    curvature_DD.diagonal().add_(max(ridge, 1e-5))
    return torch.linalg.cholesky(curvature_DD)


def _loss(logits_NC: Tensor, label: Tensor) -> Tensor:
    """Return the mean over examples of the cross entropy, for several labels summed over classes."""
    if label.ndim == 1:
        return nn.functional.cross_entropy(logits_NC, label.long())
    losses_NC = nn.functional.binary_cross_entropy_with_logits(logits_NC, label.float(), reduction="none")
    return losses_NC.sum(1).mean()


def _descend(
    x_ND: Tensor, label: Tensor, covariance_DD: Tensor, strength: float, start: _Weights, until: float
) -> _Weights:
    """Take L-BFGS steps on the mean loss plus the ridge, five at a time while there is time."""
    ridge = strength / len(x_ND)
    upper_DD = _root(covariance_DD, ridge).T
    u_DC = (upper_DD @ start.weight).requires_grad_()
    bias_C = start.bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([u_DC, bias_C], max_iter=5, history_size=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        weight_DC = torch.linalg.solve_triangular(upper_DD, u_DC, upper=True)
        total = _loss(x_ND @ weight_DC + bias_C, label) + ridge / 2 * weight_DC.square().sum()
        total.backward()
        return total

    for _ in range(_STEPS // 5):
        optimizer.step(closure)
        if time.monotonic() > until:
            break
    weight_DC = torch.linalg.solve_triangular(upper_DD, u_DC.detach(), upper=True)
    return _Weights(weight_DC, bias_C.detach())
