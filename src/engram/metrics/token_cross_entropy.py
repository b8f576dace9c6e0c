"""Cross entropy of a language model: how surprised it is by each token, in nats."""

from __future__ import annotations

import numpy as np

from engram.metrics._tokens import TokenMetric


class TokenCrossEntropy(TokenMetric):
    """Mean nats per token; where tokens are characters, nats per character."""

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "cross_entropy"

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return nats per token."""
        return self.mean_nats(statistics, weights_SN)
