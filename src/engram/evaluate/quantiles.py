"""Quantiles that hold what they say: moved until the truth lies below each as often as it should.

Conformal prediction of quantiles (Romano et al. 2019, "Conformalized quantile regression"), each by itself, in units of
the interval's width, so that an uncertain step is corrected by more than a sure one.

Shapes: N windows, H steps ahead, C columns, Q quantiles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engram.core.quantiles import QUANTILES

ENOUGH = 500
"""Numbers from which the place of a quantile is found; where a step has fewer, its neighbours count too."""


def correction(found_NHCA: Tensor, truth_NHC: Tensor, scale_NC: Tensor, *, independent: float) -> Tensor:
    """Return (H, Q), by how much each quantile of each step is to be moved, in units of the interval's width.

    scale_NC: of the series, below a millionth of which nothing is measured. independent: how many windows there would
    be if they did not overlap; the fewer, the further out quantiles are placed, up to the furthest that was seen.
    """
    levels = [min(max(0.5 + (level - 0.5) * (1 + 1 / independent), 0.0), 1.0) for level in QUANTILES]
    width_NHC1 = torch.maximum(found_NHCA[..., -1:] - found_NHCA[..., 1:2], 1e-6 * scale_NC[:, None, :, None])
    off_NHCQ = (truth_NHC[..., None] - found_NHCA[..., 1:]) / width_NHC1
    steps, each = off_NHCQ.shape[1], off_NHCQ.shape[0] * off_NHCQ.shape[2]
    beside = min(steps, -(-ENOUGH // max(1, each))) // 2
    near = [off_NHCQ[:, max(0, step - beside) : step + beside + 1].flatten(0, 2) for step in range(steps)]
    return torch.stack([_places(off_MQ, levels) for off_MQ in near])


def _places(off_MQ: Tensor, levels: list[float]) -> Tensor:
    """Where of some differences (M, Q) each quantile's own share lies below; 0 where nothing is known."""
    known_MQ = off_MQ[off_MQ.isfinite().all(1)]
    if not len(known_MQ):
        return off_MQ.new_zeros(len(QUANTILES))
    ordered_MQ = known_MQ.sort(0).values
    places = [min(len(known_MQ) - 1, max(0, round(level * (len(known_MQ) + 1)) - 1)) for level in levels]
    return torch.stack([ordered_MQ[place, number] for number, place in enumerate(places)])
