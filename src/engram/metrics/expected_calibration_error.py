"""Expected calibration error: how far stated confidence is from the share of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.metrics._totals import decisions, ratio
from engram.metrics.metric import Metric

NUM_BINS = 15
"""As in Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599)."""


class ExpectedCalibrationError(Metric):
    """Mean over answers of |confidence - accuracy| within 15 equal bins of confidence; 0 is calibrated.

    One label an example: the confidence is the probability of the answer, and a label that training did not
    know (-1) is a wrong answer. Several: every class of every example is an answer of its own, and the
    statistics count an example's C answers together.
    """

    higher_is_better = False

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "confidence" and "correct", (B, 1) or (B, C), from logits (B, C) and `batch.label`."""
        decided = decisions(output, batch.label)
        correct = decided["label"] == decided["predicted"]
        confidence = confidences(output, several=batch.label.ndim == 2)
        return {"confidence": confidence, "correct": correct if correct.ndim == 2 else correct[:, None]}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the sums over bins of |sum of confidence - number right|, divided by the number of answers."""
        confidence_NK, correct_NK = statistics["confidence"], statistics["correct"]
        gap_SM = np.zeros((len(weights_SN), NUM_BINS))
        for k in range(confidence_NK.shape[1]):
            gap_N = confidence_NK[:, k] - correct_NK[:, k]
            bins_N = np.minimum((confidence_NK[:, k] * NUM_BINS).astype(np.int32), NUM_BINS - 1)
            member_NM = (bins_N[:, None] == np.arange(NUM_BINS)).astype(np.float32)
            gap_SM += weights_SN @ (member_NM * gap_N[:, None].astype(np.float32))
        return ratio(np.abs(gap_SM).sum(1), weights_SN.sum(1) * confidence_NK.shape[1])


def confidences(output: Any, *, several: bool) -> np.ndarray:
    """Return the probability (B, 1) of the most probable class, or (B, C) of each yes-or-no answer given."""
    if several:
        return np.asarray(output.float().abs().sigmoid().cpu())
    return np.asarray(output.float().softmax(1).amax(1, keepdim=True).cpu())
