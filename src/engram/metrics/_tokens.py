"""What scores by tokens share: nats and tokens of each window or text.

Shapes: B windows, T tokens of each, N windows, S weightings.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from engram.metrics._totals import array, ratio
from engram.metrics.metric import Metric


class TokenMetric(Metric):
    """A score of a model whose output is the surprise of each token (B, T), in nats.

    scored: gives of a batch which tokens (B, T) are asked for.
    """

    higher_is_better = False
    per: str = "tokens"

    def __init__(self, *, scored: Callable[[Any], Any] = attrgetter("scored")) -> None:
        self.scored = scored

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "nats" and "tokens" (B,), of the tokens that are asked for."""
        nats, scored = array(output).astype(np.float64), array(self.scored(batch))
        return {"nats": (nats * scored).sum(1), "tokens": scored.sum(1).astype(np.float64)}

    def mean_nats(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return nats per token or byte (S,)."""
        return ratio(weights_SN @ statistics["nats"], weights_SN @ statistics[self.per])
