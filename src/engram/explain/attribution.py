"""Attribution: how much each part of an input speaks for the answer, asked in several ways.

- occlusion: take parts away, neighbours together, and see how far the answer's support falls;
- orders: take all parts away one after another, in many orders, and see how far it falls with each;
- gradients: how strongly the answer would change with a part, for a change that is all but none;
- integrated gradients: gradients along the way from an input without anything to this one, which add up to the whole
  change (Sundararajan et al. 2017, arXiv:1703.01365), here as the mean over several noisy ways.

Which one is right for an input is not believed but tested (`engram.explain.deletion`).

Shapes: P parts, G windows, K copies along the way, W ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.task import Batch
from engram.explain.question import Question
from engram.predict.answering import moved

STEPS, WAYS = 16, 2
"""Copies along each way, and ways."""

NOISE = 0.1
"""How noisy a way is, beside the spread of the input."""

TOLERATED = 0.5
"""By so much of the whole change integrated gradients may miss it."""

MOST_ORDERED, ORDERS = 40, 16
"""Of inputs with at most so many parts, so many orders are tried."""


def occlusion(question: Question) -> np.ndarray:
    """Return (P,) how far the support falls without each part: alone, or its share in the windows that hold it."""
    windows_GP = question.parts.windows
    whole = question.support(np.zeros((1, windows_GP.shape[1]), bool))[0]
    fall_G = whole - question.support(windows_GP)
    share_GP = windows_GP / windows_GP.sum(1, keepdims=True)
    # A window counts as often whatever its size, so that small ones say where and large ones how much.
    return np.asarray((share_GP * fall_G[:, None]).sum(0) / np.maximum(windows_GP.sum(0), 1))


def by_orders(question: Question) -> np.ndarray | None:
    """Return (P,) how far the support falls by each part, on average over orders in which all are taken away.

    So what parts say together is divided among them (Shapley values, sampled as by Štrumbelj and Kononenko 2010, "An
    efficient explanation of individual classifications"). None where there are more parts than are asked in time.
    """
    number = len(question.parts.names)
    if number > MOST_ORDERED:
        return None
    random = np.random.default_rng(0)
    orders = [random.permutation(number) for _ in range(ORDERS // 2)]
    orders += [order[::-1] for order in orders]  # each with its reverse, so that places even out
    gone = np.concatenate([np.tril(np.ones((number + 1, number), bool), -1)[:, np.argsort(order)] for order in orders])
    support = question.support(gone).reshape(len(orders), number + 1)
    falls = np.zeros((len(orders), number))
    for row, order in enumerate(orders):
        falls[row, order] = -np.diff(support[row])
    return np.asarray(falls.mean(0))


def gradients(question: Question) -> np.ndarray | None:
    """Return (P,) the lengths of plain gradients over each part; None where there are none."""
    if question.parts.shares is not None:
        gradient = _gradient(question, _whole(question))
        return None if gradient is None else _summed(question, gradient.abs())
    found = _of_embeddings(question, torch.ones(1))
    return _by_position(question, [gradient.square().sum(-1).sqrt() for _, gradient in found])


def integrated(question: Question) -> np.ndarray | None:
    """Return (P,) integrated gradients: about how far the support falls by each part.

    None where there are none, or where they do not add up to the whole change, as where a part of the model that has
    no gradients counts too (trees, a floor that looks words up).
    """
    found_P = _integrated(question)
    if found_P is None:
        return None
    number = len(question.parts.names)
    with_all, with_none = question.support(np.array([np.zeros(number, bool), np.ones(number, bool)]))
    whole = float(with_all - with_none)
    return found_P if abs(float(found_P.sum()) - whole) <= TOLERATED * abs(whole) else None


def _integrated(question: Question) -> np.ndarray | None:
    alpha_K = (torch.arange(STEPS) + 0.5) / STEPS
    if question.parts.shares is None:
        found = _of_embeddings(question, alpha_K)
        return _by_position(question, [(vector * gradient).sum(-1) / STEPS for vector, gradient in found])
    x = _whole(question)
    nothing = question.parts.encode(np.ones((1, len(question.parts.names)), bool)).to(x)
    random = torch.Generator().manual_seed(0)
    total = torch.zeros_like(x)
    for _ in range(WAYS):
        noise = NOISE * x.nan_to_num().std() * torch.randn(x.shape, generator=random).to(x)
        way = alpha_K.to(x).view(-1, *[1] * (x.ndim - 1)) * (x - nothing) + nothing + noise
        gradient = _gradient(question, way)
        if gradient is None:
            return None
        total += gradient.mean(0, keepdim=True)
    return _summed(question, total / WAYS * (x - nothing))


def _whole(question: Question) -> Tensor:
    whole: Tensor = getattr(question.batch, question.role)
    return whole


def _gradient(question: Question, x: Tensor) -> Tensor | None:
    """The gradient of the support at some values of the role; None where it does not hang on them smoothly (trees)."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        support = _support(question, question.of(x))
        if not support.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(support, [x], allow_unused=True)
    return gradient


def _support(question: Question, batch: Batch) -> Tensor:
    scores_KA = question.claim.scores(question.module, moved(batch, question.module))
    return scores_KA[:, question.claim.chosen].sum()


def _summed(question: Question, value: Tensor) -> np.ndarray:
    assert question.parts.shares is not None
    return np.asarray(question.parts.shares(value.detach().float().cpu())[0])


def _of_embeddings(question: Question, alpha_K: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Scale embedded vectors by alpha; return (vectors, sum over K of the support's gradients), each (1, ..., D).

    A model may take the K copies some at a time: each of these is a pair.
    """
    found: list[tuple[Tensor, Tensor]] = []
    x = _whole(question)
    with torch.enable_grad(), _scaled_embeddings(question.module, alpha_K.to(x.device), found):
        support = _support(question, question.of(x.expand(len(alpha_K), *x.shape[1:])))
        scaled = [vector for vector, _ in found] if support.requires_grad else []
        gradients = torch.autograd.grad(support, scaled, allow_unused=True) if scaled else ()
    pairs = zip(found, gradients, strict=False)
    return [(plain, g.sum(0, keepdim=True)) for (_, plain), g in pairs if g is not None]


@contextmanager
def _scaled_embeddings(module: nn.Module, alpha_K: Tensor, found: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Within the block, vectors come out of embeddings multiplied by alpha, one for each example in turn, and are
    collected, scaled and as they were (1, ..., D)."""
    next_of: dict[nn.Module, int] = {}

    def scale(part: nn.Module, __: Any, vector: Tensor) -> Tensor:
        """A hook: vectors that are shared by all copies come once, others copy after copy, some at a time."""
        alpha_B = alpha_K  # of all copies at once, or for what all of them share
        if len(vector) not in (1, len(alpha_K)):
            first = next_of.get(part, 0)
            next_of[part] = first + len(vector)
            alpha_B = alpha_K[(first + torch.arange(len(vector))) % len(alpha_K)]
        scaled = (vector.detach() * alpha_B.to(vector.dtype).view(-1, *[1] * (vector.ndim - 1))).requires_grad_()
        found.append((scaled, vector.detach()[:1]))
        return scaled

    handles = [part.register_forward_hook(scale) for part in module.modules() if isinstance(part, nn.Embedding)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _by_position(question: Question, values: list[Tensor]) -> np.ndarray | None:
    """Add up what lies at positions (1, N, ...) that belong to a part; None where nothing does."""
    belongs, total_P, known = question.parts.belongs, np.zeros(len(question.parts.names)), False
    for value in values:
        number = value.shape[1] - question.claim.behind
        if (part_N := belongs.get(number)) is None:
            continue
        each_N = np.nan_to_num(np.asarray(value[0, :number].reshape(number, -1).sum(1).float().cpu()))
        np.add.at(total_P, part_N[part_N >= 0], each_N[part_N >= 0])
        known = True
    return total_P if known else None
