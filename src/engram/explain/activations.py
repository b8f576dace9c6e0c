"""What each layer gives for some examples, brought to one row of numbers an example.

Shapes: M examples, B examples of a batch, D numbers of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.task import Batch
from engram.explain.network import blocks, layers, watching
from engram.predict.answering import moved
from engram.predict.predictor import Predictor

MOST_LAYERS = 14
MOST_VALUES = 2048
"""Numbers of a layer, about, that maps are brought to."""

INPUT = "input"


@dataclass
class Level:
    """One layer on the way. name: of the module. kind: in plain words. values: (M, D)."""

    name: str
    kind: str
    values: np.ndarray


def levels(predictor: Predictor, items: Sequence[Any], *, most: int = MOST_LAYERS) -> list[Level]:
    """Return the input and the output of every block of layers for some examples, from input to output.

    Maps are brought to a coarser grid, and what a layer says of each word is pooled over words. Texts go through one by
    one, so that no padding is counted. Of very many layers, an even choice.
    """
    if not items:
        return []
    texts = any(predictor.features[role].is_text for role in predictor.task.inputs)
    size = 1 if texts else 64
    found: dict[str, list[np.ndarray]] = {}
    kinds = _chosen(predictor, items[0], most)
    for start in range(0, len(items), size):
        batch = moved(predictor.encode(list(items[start : start + size])), predictor.module)
        for name, value in _outputs(predictor, batch, kinds).items():
            found.setdefault(name, []).append(value)
    number = len(items)
    return [
        Level(name, kinds[name], np.concatenate(values))
        for name, values in found.items()
        if sum(map(len, values)) == number and len({value.shape[1] for value in values}) == 1
    ]


def _chosen(predictor: Predictor, item: Any, most: int) -> dict[str, str]:
    """Name -> kind of the last layer of each block that is a module of its own."""
    batch = moved(predictor.encode([item]), predictor.module)
    chain = blocks(layers(predictor.network, lambda: run(predictor, batch)))
    last = {}
    for block in chain:
        modules = [layer for layer in block.layers if layer.module is not None]
        if modules:
            last[modules[-1].name] = block.layers[0].kind
    names = list(last)
    if len(names) > most:
        names = [names[at] for at in np.unique(np.linspace(0, len(names) - 1, most).astype(int))]
    return {INPUT: "the input itself", **{name: last[name] for name in names}}


def _outputs(predictor: Predictor, batch: Batch, kinds: dict[str, str]) -> dict[str, np.ndarray]:
    """Name -> rows (B, D) of the layers' outputs, in order; a layer used several times counts the last time."""
    found: dict[str, np.ndarray] = {}
    x = getattr(batch, next(iter(predictor.task.inputs)))
    if isinstance(x, Tensor) and x.is_floating_point():
        found[INPUT] = np.asarray(_pooled(x).float().nan_to_num().cpu())

    def note(name: str, module: nn.Module, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if name in kinds and isinstance(output, Tensor) and output.is_floating_point() and len(output) == len(batch):
            found[name] = np.asarray(_pooled(output).float().cpu())

    with watching(predictor.network, note):
        run(predictor, batch)
    return found


def run(predictor: Predictor, batch: Batch) -> Any:
    """Run the bare network once: one view, no calibration, and no loop where a batch has all that one pass takes."""
    task = predictor.task
    with torch.inference_mode():
        if all(hasattr(batch, role) for role in task.graph_inputs):
            return task.graph(predictor.network, batch)
        return task.predict(predictor.network, batch, task.options())


def _pooled(output: Tensor) -> Tensor:
    """Maps (B, C, h, w) on a coarser grid, so that it is kept where something is; sequences (B, T, ..., D) by mean and
    maximum over positions."""
    if output.ndim == 2:
        return output
    if output.ndim == 4:
        side = max(1, math.isqrt(MOST_VALUES // output.shape[1]))
        height, width = output.shape[2:]
        grid = (min(side, height), min(side, width))
        return nn.functional.adaptive_avg_pool2d(output.float(), grid).flatten(1)
    flat_BND = output.flatten(1, -2)
    return torch.cat([flat_BND.mean(1), flat_BND.amax(1)], 1)
