"""Interval width: how much an answer leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, mean
from engram.metrics.metric import Metric


class IntervalWidth(Metric):
    """Mean width of the intervals that answers give, in the unit of the truth. Answers without one have none."""

    higher_is_better = False
    ranks = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "width" (B,) from value, low and high (B, 3); NaN where there is no interval."""
        if output.shape[1] < 3:
            return {"width": np.full(len(output), np.nan)}
        low_B, high_B = array(output)[:, 1:3].T.astype(np.float64)
        return {"width": high_B - low_B}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "width"."""
        return mean(statistics["width"], weights_SN)
