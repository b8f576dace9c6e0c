"""Sums that several metrics share: totals and means of statistics under many weightings at once.

Shapes: N examples, S weightings, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def array(tensor: Any) -> np.ndarray:
    """Bring a tensor to the CPU as a numpy array, half precision as float32."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def mean(value_N: np.ndarray, weights_SN: np.ndarray) -> np.ndarray:
    """Return the weighted means (S,), NaN where all weights are zero."""
    totals_S2 = weights_SN @ np.stack([value_N, np.ones_like(value_N)], axis=1).astype(np.float32)
    return ratio(totals_S2[:, 0], totals_S2[:, 1])


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below in float64, NaN where below is zero."""
    above, below = above.astype(np.float64), below.astype(np.float64)
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)


def class_totals(weights_SN: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the total weight (S, C) of each class.

    `label` is (N,) class numbers, of which those outside [0, C) count nowhere, or (N, C) yes or no.
    """
    if label.ndim == 2:
        return np.asarray(weights_SN @ label.astype(np.float32), np.float64)
    order = np.argsort(label, kind="stable")
    order = order[(label[order] >= 0) & (label[order] < num_classes)]
    present, starts = np.unique(label[order], return_index=True)
    totals_SC = np.zeros((len(weights_SN), num_classes))
    if len(present):
        totals_SC[:, present] = np.add.reduceat(weights_SN[:, order], starts, axis=1, dtype=np.float64)
    return totals_SC


def f1_totals(statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return per class (S, C) the weight of examples that are hit, predicted and labelled so.

    Statistics "label" and "predicted" are class numbers (N,), or yes or no (N, C).
    """
    label, predicted = statistics["label"], statistics["predicted"]
    if label.ndim == 1:
        num_classes = 1 + int(max(label.max(initial=0), predicted.max(initial=0)))
        hit = np.where(label == predicted, label, -1)
    else:
        num_classes, hit = label.shape[1], label & predicted
    hit_SC, predicted_SC, label_SC = (class_totals(weights_SN, x, num_classes) for x in (hit, predicted, label))
    return hit_SC, predicted_SC, label_SC


def decisions(output: Any, label: Any) -> dict[str, np.ndarray]:
    """Keep what was predicted and what is true: class numbers (B,), or yes or no (B, C) for several labels."""
    if label.ndim == 1:
        return {"label": array(label).astype(np.int32), "predicted": array(output.argmax(1)).astype(np.int32)}
    return {"label": array(label) > 0.5, "predicted": array(output) > 0}
