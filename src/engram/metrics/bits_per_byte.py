"""Bits per byte: how far the model would compress the text, whatever it is cut into."""

from __future__ import annotations

import numpy as np

from engram.metrics._tokens import TokenMetric


class BitsPerByte(TokenMetric):
    """Bits of surprise for each byte of UTF-8. Comparable among models with different tokens."""

    per = "bytes"

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return bits per byte."""
        return self.mean_nats(statistics, weights_SN) / np.log(2)
