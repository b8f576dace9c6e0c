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
        off = np.abs(decided["label"] - decided["predicted"]).astype(np.float32)
        return {"off": np.where(decided["label"] >= 0, off, np.nan)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "off"."""
        known = ~np.isnan(statistics["off"])
        return mean(statistics["off"][known], weights_SN[:, known])
