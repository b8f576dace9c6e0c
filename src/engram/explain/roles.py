"""What units are for: the class that each tells from the others, and which do nothing or say what another says.

Shapes: M examples, U units, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SILENT = 1e-3
"""A unit whose answers vary less than this share of the usual is taken as dead."""

ALIKE = 0.98
"""Correlation from which on two units say the same."""


@dataclass(frozen=True)
class Roles:
    """Of each unit: serves (U,) the class that it tells best, auroc (U,) how well; dead (U,) bool; twin (U,) the unit
    before it that says the same, -1 for none."""

    serves: np.ndarray
    auroc: np.ndarray
    dead: np.ndarray
    twin: np.ndarray


def roles(value_MU: np.ndarray, label_M: np.ndarray, num_classes: int) -> Roles:
    """Judge units by their answers to examples. label: class numbers, -1 unknown."""
    spread_U = value_MU.std(0)
    dead_U = spread_U <= SILENT * np.median(spread_U)
    auroc_UC = _aurocs(value_MU, label_M, num_classes)
    serves_U = auroc_UC.argmax(1)
    return Roles(serves_U, auroc_UC.max(1), dead_U, _twins(value_MU, dead_U))


def _aurocs(value_MU: np.ndarray, label_M: np.ndarray, num_classes: int) -> np.ndarray:
    """How well each unit's answer tells each class from all others (U, C); one half where a class has no example."""
    known = np.random.default_rng(0).permutation(np.flatnonzero(label_M >= 0))  # so that ties favour no class
    value_MU, label_M = value_MU[known], label_M[known]
    if not len(label_M):
        return np.full((value_MU.shape[1], num_classes), 0.5)
    order_MU = np.argsort(value_MU, axis=0, kind="stable")
    rank_MU = np.empty_like(order_MU)
    np.put_along_axis(rank_MU, order_MU, np.arange(1, len(label_M) + 1)[:, None], axis=0)
    count_C = np.bincount(label_M, minlength=num_classes)
    total_UC = rank_MU.T.astype(np.float64) @ np.eye(num_classes)[label_M]
    won_UC = total_UC - count_C * (count_C + 1) / 2
    pairs_C = count_C * (len(label_M) - count_C)
    return np.where(pairs_C > 0, won_UC / np.maximum(pairs_C, 1), 0.5)


def _twins(value_MU: np.ndarray, dead_U: np.ndarray) -> np.ndarray:
    """The first unit before each that says the same, or the opposite; -1 for none."""
    centred_MU = value_MU - value_MU.mean(0)
    scaled_MU = centred_MU / np.maximum(np.linalg.norm(centred_MU, axis=0), 1e-12)
    alike_UU = np.abs(scaled_MU.T @ scaled_MU) > ALIKE
    alike_UU = np.tril(alike_UU, -1) & ~dead_U & ~dead_U[:, None]
    return np.where(alike_UU.any(1), alike_UU.argmax(1), -1)
