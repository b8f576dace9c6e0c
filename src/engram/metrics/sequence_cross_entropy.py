"""Cross entropy of sequences: how surprised a model is by each token of the true text, in nats.

Shapes: B examples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, ratio
from engram.metrics.metric import Metric


class SequenceCrossEntropy(Metric):
    """Mean of -log(probability) over all tokens, those of long texts and short ones alike."""

    higher_is_better = False

    @property
    def name(self) -> str:
        """As the field calls it."""
        return "cross_entropy"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "loss" and "tokens" (B,) from (B, 2), the sum of each text's losses and how many tokens it has."""
        loss_B, tokens_B = array(output).T
        return {"loss": loss_B, "tokens": tokens_B}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted losses per token (S,)."""
        return ratio(weights_SN @ statistics["loss"], weights_SN @ statistics["tokens"])
