"""What units within a network of running text answer to: the places where each is most excited, in their context.

Shapes: M windows, T tokens, D units of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from engram.core.task import Batch
from engram.explain.activations import run
from engram.explain.network import ACTIVATIONS
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
    """Look at what the first, the middle and the last activation function give. pieces: (M, T), of the batch."""
    watch = _Activations(tuple(np.shape(pieces)[:2]) if pieces else (0, 0))
    with torch.inference_mode(), watch:
        run(predictor, moved(batch, predictor.network))
    number = min(LAYERS, len(watch.found))
    chosen = np.unique(np.linspace(0, len(watch.found) - 1, number).astype(int)).tolist()
    return [one for at in chosen for one in _answered(f"layer {at + 1}", watch.found[at], pieces)]


class _Activations(TorchFunctionMode):
    """Collects what activation functions give for all tokens (M, T, D)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.found: list[np.ndarray] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        activation = getattr(func, "__name__", "").rstrip("_") in ACTIVATIONS - {"softmax", "log_softmax"}
        if activation and isinstance(output, Tensor) and output.ndim == 3 and tuple(output.shape[:2]) == self.shape:
            self.found.append(np.asarray(output.float().cpu()))
        return output


def _answered(name: str, value_MTD: np.ndarray, pieces: list[list[str]]) -> list[Answered]:
    """The units that stand out most at their best places."""
    length, width = value_MTD.shape[1:]
    flat_ND = value_MTD.reshape(-1, width)
    best_PD = np.argsort(-flat_ND, axis=0, kind="stable")[:PLACES]
    top_D = np.take_along_axis(flat_ND, best_PD, 0).mean(0)
    strength_D = (top_D - flat_ND.mean(0)) / np.maximum(flat_ND.std(0), 1e-6)
    units = np.argsort(-strength_D, kind="stable")[:UNITS].tolist()
    return [
        Answered(name, unit, [_around(pieces[int(at) // length], int(at) % length) for at in best_PD[:, unit]])
        for unit in units
    ]


def _around(pieces: list[str], place: int) -> tuple[str, str]:
    return "".join(pieces[max(0, place - BEFORE) : place]), pieces[place]
