"""Logistic regression on the naive Bayes weights of features that an example has or has not (NB-SVM).

Every feature has for every class its log-count ratio, times a factor that is learned, held by a ridge towards
what naive Bayes would say (Wang and Manning 2012, "Baselines and bigrams: simple, good sentiment and topic
classification", who interpolate afterwards and take the hinge; logistic here, for probabilities).

Shapes: N examples, F features, C classes, E pairs of an example and a feature that it has.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CANDIDATES = ((30.0, 0.03), (10.0, 0.03), (3.0, 0.03), (1.0, 0.03), (10.0, 0.0), (3.0, 0.0), (1.0, 0.0), (0.3, 0.0))
"""(strength, naive) tried: the ridge is strength / 2 times the squared distance of the factors from `naive`, beside the
summed loss. Naive Bayes counts what says the same many times, so that its own factor, 1, is far too sure."""

ROUNDS, STEPS = 8, 8
"""At most so many times so many steps of L-BFGS."""

SLIGHT = 1e-4
"""Descent ends where a round of steps lowers the loss by no larger share."""

_FOLDING_ROWS = 2_000  # where rows are few, one held-out share is too noisy to choose by
_IMAGINED = 1.0  # examples of each class that have a feature, beside those counted


@dataclass
class Marked:
    """Which example has which features. example and feature: one entry a pair (E,), examples ascending. value: how
    much each feature counts (F,)."""

    example: Tensor
    feature: Tensor
    value: Tensor
    num_examples: int

    def of(self, chosen_N: Tensor) -> Marked:
        """The chosen examples alone."""
        place_N = chosen_N.long().cumsum(0) - 1
        kept_E = chosen_N[self.example]
        return Marked(place_N[self.example[kept_E]], self.feature[kept_E], self.value, int(chosen_N.sum()))

    def matrices(self) -> tuple[Tensor, Tensor]:
        """The values as sparse (N, F) and (F, N)."""
        shape = (self.num_examples, len(self.value))
        value_E = self.value[self.feature]
        order_E = self.feature.argsort(stable=True)
        across = _sparse(self.example, self.feature, value_E, shape)
        down = _sparse(self.feature[order_E], self.example[order_E], value_E[order_E], (shape[1], shape[0]))
        return across, down


def fit_naive_bayes(
    marked: Marked, label: Tensor, *, aims_CC: Tensor, until: float, ridge: tuple[float, float] | None = None
) -> dict[str, Tensor]:
    """Fit and return {"weight": (F, C), "bias": (C,), "ridge": (2,)} for features that are there (1) or not (0).

    label: class numbers (N,), or yes or no (N, C). aims_CC: see `engram.core.scale`. until: a `time.monotonic()` value
    after which the steps end early; before it the result depends on the data alone. ridge: one of `CANDIDATES`; None
    chooses it.
    """
    target_NC = label.float() if label.ndim == 2 else aims_CC[label.long()]
    if ridge is None:
        ridge = _choose_ridge(marked, target_NC, label.ndim == 2, until)
    weight_FC, bias_C = _Descent(marked, target_NC, label.ndim == 2).to(ridge, until)
    return {"weight": weight_FC * marked.value[:, None], "bias": bias_C, "ridge": torch.tensor(ridge)}


def _choose_ridge(marked: Marked, target_NC: Tensor, several: bool, until: float) -> tuple[float, float]:
    """Return the candidate with the smallest loss on rows that were held out; half of the time is left for the rest."""
    half = time.monotonic() + (until - time.monotonic()) / 2
    folds = 5 if len(target_NC) <= _FOLDING_ROWS else 1
    losses = torch.full((len(CANDIDATES),), torch.inf)
    losses[1] = 1e9  # what to take where there is time for none
    fold_N = torch.arange(len(target_NC)) % 5
    for fold in range(folds if len(target_NC) >= 5 else 0):
        held_N = fold_N == fold
        descent = _Descent(marked.of(~held_N), target_NC[~held_N], several)
        held, _ = marked.of(held_N).matrices()
        for index, ridge in enumerate(CANDIDATES):
            weight_FC, bias_C = descent.to(ridge, half)
            if time.monotonic() > half:
                return CANDIDATES[int(losses.argmin())]
            loss = _loss(held @ weight_FC + bias_C, target_NC[held_N], several)
            losses[index] = loss if fold == 0 else losses[index] + loss
    return CANDIDATES[int(losses.argmin())]


class _Descent:
    """Learns the factors; each call of `to` goes on from where the last one ended."""

    def __init__(self, marked: Marked, target_NC: Tensor, several: bool) -> None:
        self.across, self.down = marked.matrices()
        self.target_NC, self.several = target_NC, several
        self.ratio_FC = _ratios(marked, target_NC)
        self.factor_FC = torch.zeros_like(self.ratio_FC, requires_grad=True)  # beside the naive one
        self.bias_C = torch.zeros(target_NC.shape[1], requires_grad=True)
        self.naive = 0.0

    def to(self, ridge: tuple[float, float], until: float) -> tuple[Tensor, Tensor]:
        """Descend for one of `CANDIDATES`; return weights (F, C) of the values and bias (C,)."""
        strength, self.naive = ridge[0] / len(self.target_NC), ridge[1]
        optimizer = torch.optim.LBFGS(
            [self.factor_FC, self.bias_C], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe"
        )
        before = torch.inf
        for _ in range(ROUNDS):
            optimizer.step(lambda: self._loss(strength))
            if (now := float(self._loss(strength))) > (1 - SLIGHT) * before or time.monotonic() > until:
                break
            before = now
        return self._weight().detach(), self.bias_C.detach().clone()

    def _weight(self) -> Tensor:
        return (self.naive + self.factor_FC) * self.ratio_FC

    @torch.no_grad()
    def _loss(self, strength: float) -> Tensor:
        """The mean loss plus the ridge, with its gradient: autograd has none for sparse rows."""
        logits_NC = self.across @ self._weight() + self.bias_C
        loss = _loss(logits_NC, self.target_NC, self.several) + strength / 2 * self.factor_FC.square().sum()
        found_NC = logits_NC.sigmoid() if self.several else logits_NC.softmax(1)
        excess_NC = (found_NC - self.target_NC) / len(logits_NC)
        self.factor_FC.grad = (self.down @ excess_NC) * self.ratio_FC + strength * self.factor_FC
        self.bias_C.grad = excess_NC.sum(0)
        return loss


def _ratios(marked: Marked, target_NC: Tensor) -> Tensor:
    """Return (F, C): the log of how much more often examples of a class have a feature than those of all others."""
    shape = (len(marked.value), marked.num_examples)
    order_E = marked.feature.argsort(stable=True)
    ones_E = torch.ones(len(order_E))
    counts = _sparse(marked.feature[order_E], marked.example[order_E], ones_E, shape) @ target_NC
    others = _sparse(marked.feature[order_E], marked.example[order_E], ones_E, shape) @ (1 - target_NC)
    of_class, of_others = counts + _IMAGINED, others + _IMAGINED
    return (of_class / of_class.sum(0)).log() - (of_others / of_others.sum(0)).log()


def _loss(logits_NC: Tensor, target_NC: Tensor, several: bool) -> Tensor:
    """Return the mean over examples of the cross entropy, for several labels summed over classes."""
    if several:
        losses_NC = nn.functional.binary_cross_entropy_with_logits(logits_NC, target_NC, reduction="none")
        return losses_NC.sum(1).mean()
    return nn.functional.cross_entropy(logits_NC, target_NC)


def _sparse(row_E: Tensor, column_E: Tensor, value_E: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix in rows from entries whose rows ascend."""
    begin = nn.functional.pad(torch.bincount(row_E, minlength=shape[0]).cumsum(0), (1, 0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)  # torch says that it is beta
        return torch.sparse_csr_tensor(begin, column_E, value_E, shape)
