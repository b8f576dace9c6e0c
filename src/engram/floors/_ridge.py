"""Ridge regression in closed form, the strength chosen on rows that were held out.

Shapes: N examples, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engram.floors._logistic import RIDGES, standardise

FOLDS = 5


def fit_ridge(x_ND: Tensor, label_N: Tensor, *, strength: float | None = None) -> dict[str, Tensor]:
    """Fit and return {"weight": (1, D), "bias": (1,), "ridge": ()} for features as they come; `x_ND` is overwritten.

    strength: one of `RIDGES`; None chooses it.
    """
    mean_D, deviation_D = standardise(x_ND)
    centre = label_N.double().mean()
    y_N = (label_N - centre).float()
    fold_N = torch.arange(len(x_ND)) % FOLDS
    sums = [_sums(x_ND[fold_N == fold], y_N[fold_N == fold]) for fold in range(FOLDS)]
    gram_DD, moment_D = (torch.stack(parts).sum(0) for parts in zip(*sums, strict=True))
    if strength is None:
        strength = RIDGES[int(torch.stack([_held_out(x_ND, y_N, fold_N, sums, each) for each in RIDGES]).argmin())]
    weight_D = _solved(gram_DD, moment_D, strength).float() / deviation_D
    bias = (centre - mean_D.double() @ weight_D.double()).float()
    return {"weight": weight_D[None], "bias": bias[None], "ridge": torch.tensor(strength)}


def _sums(x_ND: Tensor, y_N: Tensor) -> tuple[Tensor, Tensor]:
    """What least squares needs of some rows."""
    return (x_ND.T @ x_ND).double(), (x_ND.T @ y_N).double()


def _held_out(x_ND: Tensor, y_N: Tensor, fold_N: Tensor, sums: list[tuple[Tensor, Tensor]], strength: float) -> Tensor:
    """The summed squared error of a strength, each fold by weights from the others."""
    error = torch.zeros(())
    for fold in range(FOLDS):
        others = [parts for number, parts in enumerate(sums) if number != fold]
        gram_DD, moment_D = (torch.stack(parts).sum(0) for parts in zip(*others, strict=True))
        held_N = fold_N == fold
        error = error + (x_ND[held_N] @ _solved(gram_DD, moment_D, strength).float() - y_N[held_N]).square().sum()
    return error


def _solved(gram_DD: Tensor, moment_D: Tensor, strength: float) -> Tensor:
    """The weights of the least squared error plus `strength` times the squared weights."""
    return torch.cholesky_solve(
        moment_D[:, None], torch.linalg.cholesky(gram_DD + max(strength, 1e-3) * torch.eye(len(gram_DD)).double())
    )[:, 0]
