"""Macro F1: the mean over classes of the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import decisions, f1_totals, ratio
from engram.metrics.metric import Metric


class MacroF1(Metric):
    """F1 of each class, averaged: a rare class weighs as much as a frequent one.

    The mean goes over the classes that occur among labels or answers. An example whose label training
    did not know (-1) is a wrong answer to the class it was taken for. With several labels an example,
    a label is predicted where its probability is above one half.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "label" and "predicted", (B,) or (B, C), from logits (B, C) and `batch.label`."""
        return decisions(output, batch.label)

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the means over classes of 2 hits / (predicted + labelled)."""
        hit_SC, predicted_SC, label_SC = f1_totals(statistics, weights_SN)
        occurs_SC = predicted_SC + label_SC > 0
        f1_SC = np.nan_to_num(ratio(2 * hit_SC, predicted_SC + label_SC))
        return ratio((f1_SC * occurs_SC).sum(1), occurs_SC.sum(1))
