"""Mean reciprocal rank: how far down one has to read to find something wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engram.metrics._hits import best, mean_of_known, number_wanted
from engram.metrics.metric import Metric


class Mrr(Metric):
    """One over the place of the first wanted item among all items; the mean over examples.

    Reads scores of all items (B, I) and `batch.wanted` (B, W).
    """

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep the reciprocal rank of each example; 0 where no wanted item has a score."""
        wanted_BW = batch.wanted.to(output.device)
        there_BW = wanted_BW > 0
        score_BW = output.gather(1, (wanted_BW - 1).clamp(min=0)).masked_fill(~there_BW, -torch.inf)
        rank_B = 1 + (output > score_BW.amax(1, keepdim=True)).sum(1)
        value_B = torch.where(there_BW.any(1), 1 / rank_B, 0.0).cpu().numpy()
        return {"value": best(value_B, number_wanted(batch.wanted))}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means."""
        return mean_of_known(statistics["value"], weights_SN)
