"""The contract of a metric: statistics per example first, one number from them afterwards.

Keeping the statistics is what makes intervals (bootstrap) and paired comparisons possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engram.core.registry import snake_case

if TYPE_CHECKING:
    import numpy as np


class Metric:
    """One score. Configured by keyword arguments, without state of its own."""

    higher_is_better: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The field's name for it, for example "accuracy"."""
        return snake_case(type(self).__name__)

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Return statistics of a batch, each an array whose first axis is the example."""
        raise AssertionError("a metric must say this")

    def compute(self, statistics: dict[str, np.ndarray], weights: np.ndarray | None = None) -> float:
        """Return the score of some examples. `weights` count how often each is drawn (for the bootstrap)."""
        raise AssertionError("a metric must say this")
