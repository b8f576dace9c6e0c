"""What scores of language models share: nats, tokens and bytes of each window or text.

Shapes: B windows, T tokens of each, N windows, S weightings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, ratio
from engram.metrics.metric import Metric


class TokenMetric(Metric):
    """A score of a model whose output is the surprise of each token (B, T), in nats; 0 where none is asked for."""

    higher_is_better = False
    per: str = "tokens"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "nats", "tokens" and "bytes" (B,), of the tokens that `batch.scored` (B, T) asks for."""
        nats, scored = array(output).astype(np.float64), array(batch.scored)
        return {
            "nats": (nats * scored).sum(1),
            "tokens": scored.sum(1).astype(np.float64),
            "bytes": array(batch.bytes).astype(np.float64),
        }

    def mean_nats(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return nats per token or byte (S,)."""
        return ratio(weights_SN @ statistics["nats"], weights_SN @ statistics[self.per])
