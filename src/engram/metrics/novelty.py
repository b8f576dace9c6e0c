"""Novelty: how little known the recommended items are.

Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems": mean self-information.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import mean
from engram.metrics.metric import Metric


class Novelty(Metric):
    """The mean of -log2 of the share of interactions that the `most` first items have in training, in bits.

    popularity: interactions of each item in training (I,); None until a task knows it.
    """

    def __init__(self, most: int = 10, popularity: Any = None) -> None:
        self.most, self.popularity = most, popularity

    @property
    def name(self) -> str:
        """With its cut."""
        return f"novelty@{self.most}"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep the mean bits of each example; items without an interaction count as one that has one."""
        top_BK = output.topk(min(self.most, output.shape[1]), dim=1).indices.cpu().numpy()
        known = self.popularity if self.popularity is not None else np.ones(output.shape[1])
        bits_I = -np.log2(np.maximum(known, 1) / max(1, np.sum(known)))
        return {"bits": bits_I[top_BK].mean(1)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means."""
        return mean(statistics["bits"], weights_SN)
