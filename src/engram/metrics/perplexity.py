"""Perplexity: among how many equally likely tokens the model hesitates, on average."""

from __future__ import annotations

import numpy as np

from engram.metrics._tokens import TokenMetric


class Perplexity(TokenMetric):
    """Exponential of the mean nats per token. Comparable among models with the same tokens only."""

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the perplexities."""
        return np.exp(self.mean_nats(statistics, weights_SN))
