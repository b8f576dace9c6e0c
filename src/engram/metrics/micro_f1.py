"""Micro F1: the harmonic mean of precision and recall over all labels of all examples together."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import decisions, f1_totals, ratio
from engram.metrics.metric import Metric


class MicroF1(Metric):
    """F1 of all labels counted together: a frequent label weighs more than a rare one.

    With one label an example it equals the accuracy, but for labels that training did not know (-1):
    they are wrong answers to the class they were taken for, and missed by none. With several labels an
    example, a label is predicted where its probability is above one half.
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "label" and "predicted", (B,) or (B, C), from logits (B, C) and `batch.label`."""
        return decisions(output, batch.label)

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return 2 hits / (predicted + labelled) over all classes."""
        hit_SC, predicted_SC, label_SC = f1_totals(statistics, weights_SN)
        return ratio(2 * hit_SC.sum(1), (predicted_SC + label_SC).sum(1))
