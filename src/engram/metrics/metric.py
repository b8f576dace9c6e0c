"""The contract of a metric: statistics per example first, one number from them afterwards.

Keeping the statistics is what makes intervals (bootstrap) and paired comparisons possible.

Shapes: B examples of a batch, N examples, S draws of the bootstrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engram.core.registry import snake_case

if TYPE_CHECKING:
    import numpy as np

Statistics = dict[str, Any]
"""Name -> numpy array whose first axis is the example."""


class Metric:
    """One score. Configured by keyword arguments, without state of its own.

    A metric says two things: `update`, what to keep of each example, and `weighted`, the score of them.
    """

    higher_is_better: ClassVar[bool] = True

    ranks: ClassVar[bool] = True
    """Whether one model is better than another for having more of it, or less."""

    @property
    def name(self) -> str:
        """The field's name for it, for example "accuracy"."""
        return snake_case(type(self).__name__)

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Return statistics of a batch, each an array whose first axis is the example."""
        raise AssertionError("a metric must say this")

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the scores (S,) of S weightings (float32) of the examples, NaN where one has no score.

        Weight 2 counts an example twice, weight 0 leaves it out.
        """
        raise AssertionError("a metric must say this")

    def compute(self, statistics: dict[str, np.ndarray], weights: np.ndarray | None = None) -> float:
        """Return the score of some examples, `weights` (N,) of them where given; NaN where there is none."""
        import numpy as np

        if weights is None:
            weights = np.ones(len(next(iter(statistics.values()))), np.float32)
        return float(self.weighted(statistics, np.asarray(weights, np.float32)[None])[0])

    def interval(self, statistics: dict[str, np.ndarray]) -> tuple[float, float] | None:
        """Return the ends of the 95 % interval where a formula knows better than the bootstrap, else None."""
        return None

    def influence(self, statistics: dict[str, np.ndarray]) -> np.ndarray | None:
        """Return (N,) how each example moves the score, for metrics whose draws are slow; else None.

        The score of a weighting is then close to the score of all plus the weighted mean of the influences, which
        have the mean 0; with thousands of examples the two cannot be told apart.
        """
        return None
