"""Cross entropy of tokens: how surprised a model is by each token of the true text, in nats."""

from __future__ import annotations

import numpy as np

from engram.metrics._tokens import TokenMetric


class TokenCrossEntropy(TokenMetric):
    """Mean nats per token, those of long texts and short ones alike; where tokens are characters, per character."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "cross_entropy"

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return nats per token."""
        return self.mean_nats(statistics, weights_SN)
