"""Mean squared error of answers that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._differences import differences, mean_square
from engram.metrics.metric import Metric


class Mse(Metric):
    """Mean of the squared difference between answer and truth."""

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "off" (B,) from numbers first in each row (B, V) and `batch.label` (B,)."""
        return {"off": differences(output, batch)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means of the squares."""
        return mean_square(statistics["off"], weights_SN)
