"""How much each example counts when some classes are much rarer than others."""

from __future__ import annotations

import numpy as np

UNBALANCED = 3.0
"""Classes whose sizes differ by less than this factor are learned as they come."""


def importance(labels: np.ndarray, train: np.ndarray) -> np.ndarray | None:
    """Return how much each row counts in the loss, 1 on average over training rows; None where all count the same.

    labels: class number of every row, -1 unknown. A class counts by the inverse square root of its frequency
    (Mahajan et al. 2018, arXiv:1805.00932): rare classes are heard, and common ones are still learned well.
    """
    known = train[labels[train] >= 0]
    counts = np.bincount(labels[known])
    present = counts[counts > 0]
    if len(present) < 2 or present.max() < UNBALANCED * present.min():
        return None
    weight = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0.0)
    weights = np.where(labels >= 0, weight[np.clip(labels, 0, len(weight) - 1)], 0.0)
    return (weights / weights[known].mean()).astype(np.float32)
