"""Recall at a cut: how many of the wanted items are among those ranked first, of all items."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._hits import best, hits, mean_of_known, number_wanted
from engram.metrics.metric import Metric


class Recall(Metric):
    """The share of an example's wanted items among its `most` first; the mean over examples.

    Reads scores of all items (B, I) and `batch.wanted` (B, W).
    """

    def __init__(self, most: int = 20) -> None:
        self.most = most

    @property
    def name(self) -> str:
        """With its cut, as the field writes it."""
        return f"recall@{self.most}"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep the share of each example."""
        number_B = number_wanted(batch.wanted)
        found_B = hits(output, batch.wanted, most=self.most).sum(1)
        return {"value": best(found_B / np.maximum(number_B, 1), number_B)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means."""
        return mean_of_known(statistics["value"], weights_SN)
