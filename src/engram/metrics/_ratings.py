"""How far predicted ratings are from those that users gave, each of several items.

Shapes: B users, I items, W wanted of one user, N users of all batches, S weightings.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from engram.metrics._totals import ratio
from engram.metrics.metric import Metric


class RatingMetric(Metric):
    """Reads ratings of all items (B, I), `batch.wanted` (B, W), numbers from 1 on, and `batch.rating` (B, W).

    Statistics: sums over a user's ratings, and how many there are, so that each rating counts the same.
    """

    higher_is_better: ClassVar[bool] = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep each user's sums."""
        wanted_BW, rating_BW = batch.wanted.to(output.device), batch.rating.to(output.device)
        asked_BW = (wanted_BW > 0) & rating_BW.isfinite()
        said_BW = output.gather(1, (wanted_BW - 1).clamp(min=0))
        off_BW = torch.where(asked_BW, said_BW - rating_BW, 0.0).double()
        sums = {"squares": off_BW.square().sum(1), "distances": off_BW.abs().sum(1), "number": asked_BW.sum(1)}
        return {name: values.cpu().numpy() for name, values in sums.items()}


def mean_of(name: str, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
    """Return the weighted means (S,) over ratings."""
    weights_SN = weights_SN.astype(np.float64)
    return ratio(weights_SN @ statistics[name], weights_SN @ statistics["number"])
