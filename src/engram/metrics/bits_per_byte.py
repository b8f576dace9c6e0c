"""Bits per byte: how far the model would compress the text, whatever it is cut into."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._tokens import TokenMetric
from engram.metrics._totals import array


class BitsPerByte(TokenMetric):
    """Bits of surprise for each byte of UTF-8. Comparable among models with different tokens."""

    per = "bytes"

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "bytes" (B,) too."""
        return {**super().update(output, batch), "bytes": array(batch.bytes).astype(np.float64)}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return bits per byte."""
        return self.mean_nats(statistics, weights_SN) / np.log(2)
