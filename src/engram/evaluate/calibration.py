"""Calibration: make stated probabilities true, on data that training has not seen.

Temperature scaling (Guo et al. 2017, arXiv:1706.04599), and a bias per class where it holds up on held-out rows.

Shapes: N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.metrics.expected_calibration_error import NUM_BINS, confidences

_FOLDS = 5
_CHOOSING_ROWS = 4_000
_PRIOR_SPREAD = 1.0  # of log(temperature): where every answer is right, the data alone would ask for temperature 0
_BIAS_PRIOR_SPREAD = 0.5


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are logits / temperature + bias. loss_before, loss_after: cross entropy in nats."""

    temperature: float
    bias: np.ndarray
    loss_before: float
    loss_after: float

    def apply(self, delivered: Any) -> None:
        """Write temperature and bias into a delivered module."""
        delivered.temperature.fill_(self.temperature)
        delivered.bias.copy_(torch.from_numpy(self.bias))


def fit(logits_NC: Any, label: Any, *, kind: str) -> Calibration:
    """Fit on validation logits that are not calibrated yet.

    label: class numbers (N,), -1 left out, or yes or no (N, C). kind: "softmax" or "sigmoid", as the task says.
    Without rows nothing is changed.
    """
    logits = torch.as_tensor(np.asarray(logits_NC)).double()
    target = torch.as_tensor(np.asarray(label))
    target = target.double() if kind == "sigmoid" else target.long()
    if kind == "softmax":
        logits, target = logits[target >= 0], target[target >= 0]
    zero = torch.zeros(logits.shape[1], dtype=torch.float64)
    if not len(logits):
        return Calibration(1.0, zero.float().numpy(), float("nan"), float("nan"))
    before = float(_losses(logits, target, kind).mean())
    with_bias = _bias_holds_up(logits, target, kind)
    temperature, bias = _fit(logits, target, kind, with_bias=with_bias)
    after = float(_losses(logits / temperature + bias, target, kind).mean())
    return Calibration(float(temperature), bias.float().numpy(), before, after)


def total_loss(logits_NC: Any, label: Any, *, kind: str) -> float:
    """Return the loss of logits summed over rows, in nats; rows with unknown labels are left out."""
    logits, target = torch.as_tensor(np.asarray(logits_NC)).double(), torch.as_tensor(np.asarray(label))
    if kind == "softmax":
        logits, target = logits[target >= 0], target[target >= 0].long()
    return float(_losses(logits, target.double() if kind == "sigmoid" else target, kind).sum())


def _losses(logits: Tensor, target: Tensor, kind: str) -> Tensor:
    if kind == "softmax":
        return nn.functional.cross_entropy(logits, target, reduction="none")
    return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)


def _fit(logits: Tensor, target: Tensor, kind: str, *, with_bias: bool) -> tuple[Tensor, Tensor]:
    """Return temperature and bias of the least loss, both held towards changing nothing by a weak prior."""
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=with_bias)
    parameters = [log_temperature, bias] if with_bias else [log_temperature]
    optimizer = torch.optim.LBFGS(parameters, max_iter=30, tolerance_change=1e-6, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        prior = (log_temperature / _PRIOR_SPREAD) ** 2 / 2 + (bias / _BIAS_PRIOR_SPREAD).square().sum() / 2
        total = (_losses(logits / log_temperature.exp() + bias, target, kind).sum() + prior) / len(logits)
        total.backward()
        return total

    optimizer.step(closure)
    return log_temperature.detach().exp(), bias.detach()


def _bias_holds_up(logits: Tensor, target: Tensor, kind: str) -> bool:
    """Whether a bias per class lowers the loss on held-out rows, by more than its own standard error."""
    if len(logits) < 10 * _FOLDS:
        return False
    some_N = torch.randperm(len(logits), generator=torch.Generator().manual_seed(0))[:_CHOOSING_ROWS]
    logits, target = logits[some_N], target[some_N]
    fold_N = torch.arange(len(logits)) % _FOLDS
    gain_N = torch.zeros(len(logits), dtype=torch.float64)
    for fold in range(_FOLDS):
        held = fold_N == fold
        for with_bias, sign in ((False, 1), (True, -1)):
            temperature, bias = _fit(logits[~held], target[~held], kind, with_bias=with_bias)
            gain_N[held] += sign * _losses(logits[held] / temperature + bias, target[held], kind)
    return bool(gain_N.mean() > gain_N.std() / len(gain_N) ** 0.5)


def reliability(logits_NC: Any, label: Any) -> list[dict[str, float]]:
    """Return for each of 15 bins of confidence that holds answers: "low", "high", "count", "confidence", "accuracy".

    label: class numbers (N,) (one answer an example), or yes or no (N, C) (an answer for each class).
    """
    logits, label = torch.as_tensor(np.asarray(logits_NC)), np.asarray(label)
    several = label.ndim == 2
    confidence = confidences(logits, several=several).ravel()
    predicted = (logits > 0).numpy() if several else logits.argmax(1).numpy()
    correct = (predicted == (label > 0.5 if several else label)).ravel()
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    return [
        {
            "low": number / NUM_BINS,
            "high": (number + 1) / NUM_BINS,
            "count": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(correct[bins == number].mean()),
        }
        for number in np.unique(bins).tolist()
    ]
