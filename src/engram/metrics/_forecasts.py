"""What metrics of forecasts share: totals of each window, so that a score of all is a ratio of sums.

An answer holds the expected value first, then the quantiles of `engram.core.quantiles`.

Shapes: B windows, H steps ahead, C columns, Q quantiles, N windows, S weightings.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from engram.metrics._totals import array, ratio
from engram.metrics.metric import Metric


class ForecastMetric(Metric):
    """A mean over all numbers that were measured. Subclasses say `each`: what counts of each number (B, H, C)."""

    higher_is_better: ClassVar[bool] = False

    def each(self, output_BHCA: Tensor, batch: Any) -> Tensor:
        """Return what counts of each number (B, H, C), NaN where it is not known."""
        raise AssertionError("a metric of forecasts must say this")

    def beside(self, batch: Any) -> Tensor | None:
        """What each number counts in the denominator, (B, H, C); None for 1."""
        return None

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "total" (B,) and "count" (B,)."""
        each_BHC = self.each(output.float(), batch)
        known_BHC = each_BHC.isfinite()
        weight_BHC = self.beside(batch)
        total_B = each_BHC.masked_fill(~known_BHC, 0).sum((1, 2))
        count_B = (known_BHC if weight_BHC is None else weight_BHC.masked_fill(~known_BHC, 0)).sum((1, 2))
        return {"total": array(total_B.double()), "count": array(count_B.double())}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return total by count."""
        return ratio(weights_SN @ statistics["total"], weights_SN @ statistics["count"])


def errors(output_BHCA: Tensor, batch: Any) -> Tensor:
    """Return by how much the expected value is off (B, H, C), in the user's units."""
    return output_BHCA[..., 0] - batch.future
