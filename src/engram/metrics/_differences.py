"""How far answers that are numbers are from the truth, which several metrics share.

Shapes: B examples, N examples of all batches, S weightings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import array, mean


def differences(output: Any, batch: Any) -> np.ndarray:
    """Return the answer less the truth (B,), float64, from numbers first in each row (B, V) and `batch.label` (B,)."""
    return array(output)[:, 0].astype(np.float64) - array(batch.label).astype(np.float64)


def mean_square(off_N: np.ndarray, weights_SN: np.ndarray) -> np.ndarray:
    """Return the weighted means of the squares (S,), whatever their unit: float32 holds no number times itself."""
    largest = np.abs(off_N).max(initial=0) or 1.0
    return mean(np.square(off_N / largest), weights_SN) * largest**2
