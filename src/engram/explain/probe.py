"""Linear probes: how well a weighted sum of each layer tells the answer (Alain and Bengio 2016, arXiv:1610.01644).

A ridge regression on the classes, in closed form, learns from one half of the examples and is scored on the other. Its
strength is chosen by leaving out one example at a time, which the closed form gives too.

Shapes: M examples, N of a half, D numbers of a layer, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engram.evaluate.intervals import of_share
from engram.explain.activations import Level

STRENGTHS = np.logspace(-3, 3, 7)
"""Ridge, beside the mean square of a layer's directions."""

LEAST = 20
"""Examples of a half below which nothing is said."""


@dataclass(frozen=True)
class Probed:
    """A layer, the share of held-out examples whose class a weighted sum of it tells, and its 95 % interval."""

    name: str
    kind: str
    width: int
    accuracy: float
    low: float
    high: float


def probe(levels: Sequence[Level], label_M: np.ndarray) -> list[Probed]:
    """Probe every layer; empty where there are too few examples. label: class numbers, -1 unknown."""
    known = np.flatnonzero(label_M >= 0)
    order = known[np.random.default_rng(0).permutation(len(known))]
    learned, held_out = order[: len(order) // 2], order[len(order) // 2 :]
    if len(learned) < LEAST:
        return []
    target_NC = np.eye(int(label_M.max()) + 1)[label_M[learned]]
    found = []
    for level in levels:
        answer = _fitted(level.values[learned], target_NC, level.values[held_out]).argmax(1)
        right = float((answer == label_M[held_out]).mean())
        found.append(Probed(level.name, level.kind, level.values.shape[1], right, *of_share(right, len(held_out))))
    return found


def _fitted(x_ND: np.ndarray, target_NC: np.ndarray, asked_ND: np.ndarray) -> np.ndarray:
    """Fit a ridge regression and answer."""
    mean_D, spread_D = x_ND.mean(0), x_ND.std(0)
    use = spread_D > 1e-6 * max(float(spread_D.max()), 1e-12)
    x_ND, asked_ND = ((part[:, use] - mean_D[use]) / spread_D[use] for part in (x_ND, asked_ND))
    if not use.any():
        return np.repeat(target_NC.mean(0)[None], len(asked_ND), 0)
    left_NR, size_R, right_RD = np.linalg.svd(x_ND.astype(np.float64), full_matrices=False)
    centre_C = target_NC.mean(0)
    along_RC = left_NR.T @ (target_NC - centre_C)
    scale = float((size_R**2).mean())

    def left_out(strength: float) -> float:
        shrunk_R = size_R**2 / (size_R**2 + strength * scale)
        residual_NC = target_NC - centre_C - left_NR @ (shrunk_R[:, None] * along_RC)
        share_N = 1 / len(x_ND) + (left_NR**2 @ shrunk_R)
        return float(((residual_NC / np.maximum(1 - share_N, 1e-6)[:, None]) ** 2).mean())

    best = min(STRENGTHS, key=left_out)
    weight_DC = right_RD.T @ ((size_R / (size_R**2 + best * scale))[:, None] * along_RC)
    return np.asarray(asked_ND @ weight_DC + centre_C)
