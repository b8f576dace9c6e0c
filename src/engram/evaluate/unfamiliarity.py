"""Unfamiliarity: what the last hidden layer looks like on known data, so that an input unlike it can be told.

Shapes: N examples, C classes, D width of the last hidden layer, R whitened directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_ROWS = 10_000
"""More training rows than this tell nothing more about classes' means and spread."""

SHARE_BELOW = 0.99
"""The share of validation data that is called familiar."""


def fit_spread(delivered: Any, hidden_ND: Any, label: Any) -> None:
    """Learn each class's mean, and the spread that classes share, from training rows' hidden activations.

    delivered: an `engram.models.delivered.Delivered`, whose buffers are filled.
    label: class numbers (N,); rows with -1 are left out. Yes or no (N, C), where classes overlap: one mean
    and one spread for all. Without a hidden layer (D = 0) or rows, nothing happens.
    """
    hidden_ND = torch.as_tensor(np.asarray(hidden_ND)).float()
    label = torch.as_tensor(np.asarray(label))
    if label.ndim == 1:
        hidden_ND, label = hidden_ND[label >= 0][:MAX_ROWS], label[label >= 0][:MAX_ROWS].long()
    hidden_ND = hidden_ND[:MAX_ROWS]
    if not hidden_ND.numel():
        return
    for place, aspect_ND in enumerate(delivered.aspects(hidden_ND)):
        mean_CD, spread_ND = _centred(aspect_ND, label, len(delivered.bias))
        whitening_DR = _whitening(spread_ND, aspect_ND, delivered.hidden_whitening.shape[2])
        delivered.hidden_whitening[place].copy_(whitening_DR)
        delivered.hidden_mean[place].copy_(mean_CD @ whitening_DR)


def fit_threshold(delivered: Any, distance_N: Any) -> None:
    """Set what is typical and what is unfamiliar from validation rows' distances (`Delivered.distance`).

    Fewer rows than can show the 99th percentile: the largest distance seen is the threshold. Without rows
    nothing is ever called unfamiliar.
    """
    distance_N = torch.as_tensor(np.asarray(distance_N)).double()
    if not len(distance_N):
        return
    typical = float(distance_N.quantile(0.5))
    threshold = float(distance_N.sort().values[min(int(SHARE_BELOW * len(distance_N)), len(distance_N) - 1)])
    delivered.typical.fill_(typical)
    # Equal distances throughout would make the scale zero; any larger distance is then unfamiliar.
    delivered.threshold.fill_(max(threshold, typical + 1e-6 * max(1.0, abs(typical))))


def _centred(hidden_ND: Tensor, label: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return the classes' means (C, D) and the rows' deviations (N, D) from the mean of their own class."""
    if label.ndim == 2:
        mean_D = hidden_ND.mean(0)
        return mean_D.expand(num_classes, -1), hidden_ND - mean_D
    total_CD = torch.zeros(num_classes, hidden_ND.shape[1]).index_add_(0, label, hidden_ND)
    count_C = torch.bincount(label, minlength=num_classes)
    mean_CD = total_CD / count_C.clamp(min=1)[:, None]
    spread_ND = hidden_ND - mean_CD[label]
    somewhere_D = mean_CD[int(count_C.argmax())]  # where to put classes without rows, which have no place of their own
    return torch.where((count_C > 0)[:, None], mean_CD, somewhere_D), spread_ND


def _whitening(spread_ND: Tensor, hidden_ND: Tensor, num_directions: int) -> Tensor:
    """Return (D, R) with whitening @ whitening^T close to the inverse of the shrunk covariance within classes.

    Of wide layers the R directions in which the data varies most are kept. The covariance is shrunk towards a
    multiple of the identity by Ledoit and Wolf's share (2004, "A well-conditioned estimator"), so that it can be
    inverted with more directions than rows too.
    """
    num_rows, width = spread_ND.shape
    basis_DR = torch.eye(width)
    if num_directions < width:
        centred_ND = hidden_ND - hidden_ND.mean(0)
        basis_DR = _main_directions(centred_ND, num_directions)
    spread_NR = (spread_ND @ basis_DR).double()
    covariance_RR = spread_NR.T @ spread_NR / num_rows
    size = covariance_RR.diagonal().mean() + 1e-12
    distance = (covariance_RR - size * torch.eye(len(covariance_RR))).square().sum()
    noise = (spread_NR.square().sum(1).square().mean() - covariance_RR.square().sum()) / num_rows
    share = float((noise / distance).clamp(0.01, 1)) if distance > 0 else 1.0
    shrunk_RR = (1 - share) * covariance_RR + share * size * torch.eye(len(covariance_RR))
    inverse_root_RR = torch.linalg.inv(torch.linalg.cholesky(shrunk_RR)).T
    return basis_DR @ inverse_root_RR.float()


def _main_directions(centred_ND: Tensor, number: int) -> Tensor:
    """Return orthonormal directions (D, number) in which the rows vary most.

    Of wide layers they are found by subspace iteration (Halko, Martinsson and Tropp 2011, "Finding structure with
    randomness"), as all D of them take time in proportion to the cube of D: 5 s for 4096.
    """
    width = centred_ND.shape[1]
    if width <= 2 * number:
        return torch.linalg.eigh(centred_ND.T @ centred_ND).eigenvectors[:, -number:]
    found_DR = torch.randn(width, number, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        found_DR = torch.linalg.qr(centred_ND.T @ (centred_ND @ found_DR)).Q
    return found_DR
