"""Mean absolute error: by how much answers are off."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._differences import differences
from engram.metrics._totals import decisions, mean
from engram.metrics.metric import Metric


class Mae(Metric):
    """Mean distance of answer and label: of numbers in their unit, of classes that are steps of a scale in steps.

    Classes that training did not know (-1) have no place on the scale and are left out.
    """

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "off" (B,), NaN where the label is unknown, from logits (B, C) and `batch.label` (B,).

        Where labels are numbers, from the numbers first in each row.
        """
        if batch.label.is_floating_point():
            return {"off": np.abs(differences(output, batch))}
        decided = decisions(output, batch.label)
        label, predicted = (decided[name].astype(np.float32) for name in ("label", "predicted"))
        return {"off": np.where(label >= 0, np.abs(label - predicted), np.float32(np.nan))}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "off"."""
        known = ~np.isnan(statistics["off"])
        return mean(statistics["off"][known], weights_SN[:, known])
