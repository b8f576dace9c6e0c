"""Which of the items that are ranked first were wanted, for metrics of rankings.

Shapes: B examples, I items, K ranked first, W wanted of one example.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def hits(output_BI: Any, wanted_BW: Any, *, most: int) -> np.ndarray:
    """Return (B, K), whether each of the `most` highest scores is of a wanted item.

    wanted: numbers of items from 1 on; 0 is none, -1 one that has no score.
    """
    top_BK = output_BI.topk(min(most, output_BI.shape[1]), dim=1).indices + 1
    span = int(output_BI.shape[1]) + 1
    row_B1 = torch.arange(len(top_BK), device=top_BK.device)[:, None] * span
    wanted = (row_B1 + wanted_BW.to(top_BK.device))[wanted_BW.to(top_BK.device) > 0]
    return torch.isin(row_B1 + top_BK, wanted).cpu().numpy()


def number_wanted(wanted_BW: Any) -> np.ndarray:
    """Return (B,) how many items are wanted, those without a score too."""
    return (wanted_BW != 0).sum(1).cpu().numpy()


def best(values_N: np.ndarray, number_N: np.ndarray) -> np.ndarray:
    """Leave examples that want nothing without a value (NaN)."""
    return np.where(number_N > 0, values_N, np.nan)


def mean_of_known(value_N: np.ndarray, weights_SN: np.ndarray) -> np.ndarray:
    """Return the weighted means (S,) of the examples that have a value."""
    known = np.isfinite(value_N)
    total_S = weights_SN[:, known].sum(1).astype(np.float64)
    sum_S = (weights_SN[:, known] @ value_N[known].astype(np.float32)).astype(np.float64)
    return np.divide(sum_S, total_S, out=np.full(len(weights_SN), np.nan), where=total_S > 0)
