"""Normalised discounted cumulative gain: how high the wanted items are ranked, among all items.

Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques"; every wanted item gains the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._hits import best, hits, mean_of_known, number_wanted
from engram.metrics.metric import Metric


class Ndcg(Metric):
    """The gain of the `most` items ranked first over that of the best order; the mean over examples.

    Reads scores of all items (B, I) and `batch.wanted` (B, W). An item at place r gains 1 / log2(1 + r).
    """

    def __init__(self, most: int = 10) -> None:
        self.most = most

    @property
    def name(self) -> str:
        """With its cut, as the field writes it."""
        return f"ndcg@{self.most}"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep the value of each example."""
        hit_BK, number_B = hits(output, batch.wanted, most=self.most), number_wanted(batch.wanted)
        gain_K = 1 / np.log2(2 + np.arange(self.most))
        ideal_B = np.cumsum(gain_K)[np.clip(number_B, 1, self.most) - 1]
        return {"value": best(hit_BK @ gain_K[: hit_BK.shape[1]] / ideal_B, number_B)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means."""
        return mean_of_known(statistics["value"], weights_SN)
