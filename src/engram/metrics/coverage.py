"""Coverage: how often the truth lies within the interval that an answer gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, mean
from engram.metrics.accuracy import wilson
from engram.metrics.metric import Metric


class Coverage(Metric):
    """Share of examples whose truth lies within the interval. The aim is the interval's level, neither more nor less.

    Answers without an interval have none.
    """

    ranks = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "covered" (B,), NaN without an interval, from value, low and high (B, 3) and `batch.label` (B,)."""
        if output.shape[1] < 3:
            return {"covered": np.full(len(output), np.nan, np.float32)}
        low_B, high_B = array(output)[:, 1:3].T
        label_B = array(batch.label)
        return {"covered": ((low_B <= label_B) & (label_B <= high_B)).astype(np.float32)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "covered"."""
        return mean(statistics["covered"], weights_SN)

    def interval(self, statistics: dict[str, np.ndarray]) -> tuple[float, float]:
        """Return Wilson's interval."""
        return wilson(int(statistics["covered"].sum()), len(statistics["covered"]))
