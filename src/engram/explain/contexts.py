"""What units within a network of running text answer to: the places where each is most excited, in their context.

Shapes: M windows, T tokens, D units of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.task import Batch
from engram.explain.activations import run
from engram.explain.network import watching
from engram.predict.answering import moved
from engram.predict.predictor import Predictor

LAYERS, UNITS, PLACES = 3, 4, 4
"""Of each layer so many units, of each unit so many places."""

BEFORE = 12
"""Tokens of the context that are shown."""


@dataclass(frozen=True)
class Answered:
    """A unit of a layer, and the pieces of text (context, token) that excite it most, the strongest first."""

    layer: str
    unit: int
    places: list[tuple[str, str]]


def contexts(predictor: Predictor, batch: Batch, pieces: list[list[str]]) -> list[Answered]:
    """Look at widening layers, the first, the middle and the last. pieces: (M, T) of the windows of the batch."""
    widening = [
        name
        for name, module in predictor.network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features > module.in_features
    ][:-1] or []
    chosen = (
        [widening[at] for at in np.unique(np.linspace(0, len(widening) - 1, LAYERS).astype(int))] if widening else []
    )
    found: dict[str, np.ndarray] = {}

    def note(name: str, _: nn.Module, output: Any) -> None:
        if name in chosen and isinstance(output, Tensor) and output.ndim == 3:
            found[name] = np.asarray(output.float().cpu())

    with watching(predictor.network, note), torch.inference_mode():
        run(predictor, moved(batch, predictor.network))
    return [one for name, value_MTD in found.items() for one in _answered(name, value_MTD, pieces)]


def _answered(name: str, value_MTD: np.ndarray, pieces: list[list[str]]) -> list[Answered]:
    """The units that stand out most at their best places."""
    length, width = value_MTD.shape[1:]
    flat_ND = value_MTD.reshape(-1, width)
    best_PD = np.argsort(-flat_ND, axis=0, kind="stable")[:PLACES]
    top_D = np.take_along_axis(flat_ND, best_PD, 0).mean(0)
    strength_D = (top_D - flat_ND.mean(0)) / np.maximum(flat_ND.std(0), 1e-6)
    units = np.argsort(-strength_D, kind="stable")[:UNITS].tolist()
    return [
        Answered(name, unit, [_around(*divmod(int(at), length), pieces) for at in best_PD[:, unit]]) for unit in units
    ]


def _around(window: int, place: int, pieces: list[list[str]]) -> tuple[str, str]:
    return "".join(pieces[window][max(0, place - BEFORE) : place]), pieces[window][place]
