"""How surprised a model that reads running text is by each token, and by how much what stands before helps.

Shapes: M windows, T tokens of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engram.core.task import Batch
from engram.predict.predictor import Predictor


@dataclass(frozen=True)
class Window:
    """A piece of running text: its tokens as text, and the bits (T,) of each, NaN where none was asked for."""

    pieces: list[str]
    bits: np.ndarray


def windows(predictor: Predictor, token_MT: np.ndarray, scored_MT: np.ndarray) -> list[Window]:
    """Read windows of ids (M, T + 1); scored: which of them but the first count."""
    role = next(iter(predictor.task.inputs))
    batch = Batch(rows=np.arange(len(token_MT)), **{role: torch.from_numpy(token_MT)})
    nats_MT = np.asarray(predictor.output(batch)[0])
    bits_MT = np.where((nats_MT >= 0) & scored_MT.astype(bool), nats_MT / np.log(2), np.nan)
    feature = predictor.features[role]
    return [Window(feature.pieces(ids)[1:], bits_T) for ids, bits_T in zip(token_MT.tolist(), bits_MT, strict=True)]


def by_place(found: list[Window], *, groups: int = 12) -> tuple[list[float], list[float]]:
    """Return (how many tokens stand before, the mean bits there), from the first places of windows to the last."""
    bits_MT = np.stack([window.bits for window in found])
    edges = np.unique(np.geomspace(1, bits_MT.shape[1] + 1, groups).astype(int)) - 1
    places, means = [], []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        known = bits_MT[:, low:high][~np.isnan(bits_MT[:, low:high])]
        if len(known):
            places.append((low + high + 1) / 2)
            means.append(float(known.mean()))
    return places, means
