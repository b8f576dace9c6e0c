"""Binary cross entropy: how surprised the model is by each label's presence or absence, in nats."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, mean
from engram.metrics.metric import Metric


class BinaryCrossEntropy(Metric):
    """Mean over examples and classes of -log(probability of the truth), in nats, of sigmoid logits."""

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "loss" (B,), the mean over classes, from logits (B, C) and `batch.label` (B, C)."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        loss_BC = binary_cross_entropy_with_logits(output.float(), batch.label.float(), reduction="none")
        return {"loss": array(loss_BC.mean(1))}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of "loss"."""
        return mean(statistics["loss"], weights_SN)
