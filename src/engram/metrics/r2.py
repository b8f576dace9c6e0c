"""Coefficient of determination: which share of the truth's variance the answers explain."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._differences import differences, mean_square
from engram.metrics._totals import array, mean, ratio
from engram.metrics.metric import Metric


class R2(Metric):
    """1 less the squared error's share of the truth's variance: 0 for the mean as answer throughout, 1 at best."""

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "off" and "label" (B,) from numbers first in each row (B, V) and `batch.label` (B,)."""
        return {"off": differences(output, batch), "label": array(batch.label).astype(np.float64)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return 1 - squared error / variance under each weighting; NaN where the truth does not vary."""
        label_N = statistics["label"] - statistics["label"].mean() if len(statistics["label"]) else statistics["label"]
        largest = np.abs(label_N).max(initial=0) or 1.0
        variance_S = mean_square(label_N, weights_SN) - (mean(label_N / largest, weights_SN) * largest) ** 2
        return 1 - ratio(mean_square(statistics["off"], weights_SN), variance_S)
