"""Coverage of the catalogue: the share of all items that is recommended to anybody.

Shapes: N examples, K recommended to each, S weightings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics.metric import Metric


class CatalogueCoverage(Metric):
    """The share of the catalogue among the `most` first of all examples together.

    It grows with the number of examples, so that drawing them again would give less: it has no interval.
    """

    def __init__(self, most: int = 10) -> None:
        self.most = most

    @property
    def name(self) -> str:
        """As the field calls it, with its cut."""
        return f"coverage@{self.most}"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep what is ranked first, and how many items there are."""
        top_BK = output.topk(min(self.most, output.shape[1]), dim=1).indices.cpu().numpy()
        return {"top": top_BK.astype(np.int32), "items": np.full(len(top_BK), output.shape[1])}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the shares of items recommended to examples that count."""
        top_NK, number = statistics["top"], int(statistics["items"].max(initial=1))
        return np.array([len(np.unique(top_NK[weight_N > 0])) / number for weight_N in weights_SN])

    def interval(self, statistics: dict[str, np.ndarray]) -> tuple[float, float]:
        """Return the value itself: see the class."""
        value = self.compute(statistics)
        return value, value
