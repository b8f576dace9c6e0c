"""Cross entropy: how surprised the model is by the true class, in nats."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, mean
from engram.metrics.metric import Metric


class CrossEntropy(Metric):
    """Mean of -log(probability of the true class), in nats, of softmax logits.

    Examples whose label training did not know (-1) have no such probability, and are left out.
    """

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "loss" (B,) and "known" (B,) from logits (B, C) and `batch.label` (B,)."""
        from torch.nn.functional import cross_entropy

        loss_B = cross_entropy(output.float(), batch.label, reduction="none", ignore_index=-1)
        return {"loss": array(loss_B), "known": array(batch.label) >= 0}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "loss" over the known."""
        known = statistics["known"]
        if known.all():
            return mean(statistics["loss"], weights_SN)
        return mean(statistics["loss"][known], weights_SN[:, known])
