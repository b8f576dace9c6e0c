"""Mean absolute error: by how much answers are off."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import decisions, mean
from engram.metrics.metric import Metric


class Mae(Metric):
    """Mean number of steps between the answer and the label, where classes are the steps of a scale.

    Labels that training did not know (-1) have no place on it and are left out.
    """

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "off" (B,), NaN where the label is unknown, from logits (B, C) and `batch.label` (B,)."""
        decided = decisions(output, batch.label)
        label, predicted = (decided[name].astype(np.float32) for name in ("label", "predicted"))
        return {"off": np.where(label >= 0, np.abs(label - predicted), np.float32(np.nan))}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "off"."""
        known = ~np.isnan(statistics["off"])
        return mean(statistics["off"][known], weights_SN[:, known])
