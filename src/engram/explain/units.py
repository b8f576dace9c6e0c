"""What the units of convolutional networks look for: the pieces of real pictures that excite them most.

Works for any network with two-dimensional convolutions. A unit is one channel; where it is most excited, the
receptive field says which pixels it sees there.

Shapes: M pictures, U units of a stage, h × w positions of its map, H × W pixels, P patches.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.task import Batch
from engram.explain.network import describe, watching
from engram.predict.answering import moved
from engram.predict.predictor import Predictor

BATCH = 100
BATCH_VALUES = 1_500_000
"""Pictures looked at together: at most so many, with at most so many values, so that time can be kept."""

FINEST, COARSEST = 48, 16
"""Receptive fields are measured in at most so many steps along each side; in few where time is short."""


@dataclass
class Patch:
    """A piece of a picture: its place among the pictures, the box of pixels, and how much it excites the unit."""

    picture: int
    top: int
    bottom: int
    left: int
    right: int
    value: float


@dataclass
class Unit:
    """One channel and the patches that excite it most, the strongest first."""

    number: int
    patches: list[Patch]


@dataclass
class Stage:
    """The last convolution at one resolution. shape: (U, h, w). field: the largest receptive field, (H, W) pixels.

    values: (M, U), how much each of the first pictures excites each unit where it does so most.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    field: tuple[int, int]
    units: list[Unit]
    values: np.ndarray

    @property
    def num_pictures(self) -> int:
        """How many pictures were looked at."""
        return len(self.values)


def filters(predictor: Predictor) -> tuple[str, np.ndarray] | None:
    """Return the first convolution's name and what its filters look for (U, C, k, k); None where there is none."""
    for name, module in predictor.network.named_modules():
        if isinstance(module, nn.Conv2d):
            return name, np.asarray(module.weight.detach().float().cpu())
    return None


def stages(
    predictor: Predictor, pictures: np.ndarray, *, units: int = 6, patches: int = 8, seconds: float = 2.0
) -> list[Stage]:
    """Return the convolutional stages of the network, from input to output; empty where it has none.

    pictures: uint8 (M, H, W, C). Within about `seconds`: as many of them are looked at as time allows.
    """
    began = time.monotonic()
    role = next(iter(predictor.task.inputs))
    layers = _last_of_each_resolution(predictor, pictures[:1], role)
    if not layers:
        return []
    fields = _fields(predictor, layers, pictures[:1], role, steps=FINEST if seconds >= 1 else COARSEST)
    size = int(np.clip(BATCH_VALUES // pictures[0].size, 4, BATCH))
    values_MU: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    places_MU: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    seen = 0
    for start in range(0, len(pictures), size):
        batch = moved(predictor.encode(list(pictures[start : start + size])), predictor.module)
        for name, output in _outputs(predictor, layers, batch, role).items():
            value, place = output.float().flatten(2).max(2)
            values_MU[name].append(value.cpu().numpy())
            places_MU[name].append(place.cpu().numpy())
        seen += len(batch)
        spent = time.monotonic() - began
        if spent + spent * size / seen > seconds:
            break
    found = []
    for name, layer in layers.items():
        value_MU, place_MU = np.concatenate(values_MU[name]), np.concatenate(places_MU[name])
        found.append(_stage(name, layer, fields[name], value_MU, place_MU, units, patches))
    return found


@dataclass
class _Seen:
    module: nn.Module
    kind: str
    shape: tuple[int, int, int]


def _last_of_each_resolution(predictor: Predictor, picture: np.ndarray, role: str) -> dict[str, _Seen]:
    """Return name -> layer: the last convolution at each size of map, or the normalisation right after it."""
    found: dict[tuple[int, int], tuple[str, _Seen]] = {}
    previous: list[str] = [""]

    def note(name: str, module: nn.Module, output: Any) -> None:
        kind, kept = describe(module)
        is_map = isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1
        convolution = is_map and isinstance(module, nn.Conv2d)
        follows = is_map and kept == "norm" and previous[0] == "convolution"
        previous[0] = "convolution" if convolution else ""
        if convolution:
            found[tuple(output.shape[2:])] = (name, _Seen(module, kind, tuple(output.shape[1:])))
        elif follows and (known := found.get(tuple(output.shape[2:]))) is not None:
            found[tuple(output.shape[2:])] = (known[0], _Seen(module, known[1].kind, known[1].shape))

    with watching(predictor.network, note):
        _run(predictor, moved(predictor.encode(list(picture)), predictor.module), role, precision="float32")
    ordered = sorted(found.values(), key=lambda pair: -pair[1].shape[1] * pair[1].shape[2])
    return dict(ordered)


def _outputs(
    predictor: Predictor, layers: dict[str, _Seen], batch: Batch, role: str, **options: Any
) -> dict[str, Tensor]:
    """Run the network on a batch and return name -> output (B, U, h, w) of some layers."""
    found: dict[str, Tensor] = {}
    handles = []
    for name, layer in layers.items():

        def hook(_: Any, __: Any, output: Tensor, name: str = name) -> None:
            found[name] = output

        handles.append(layer.module.register_forward_hook(hook))
    try:
        _run(predictor, batch, role, **options)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _run(predictor: Predictor, batch: Batch, role: str, *, precision: str = "") -> None:
    """Run the bare network: one view, no calibration."""
    bf16 = (precision or predictor.precision) == "bfloat16"
    with torch.inference_mode(), torch.autocast(predictor.device.type, torch.bfloat16, enabled=bf16):
        predictor.task.predict(predictor.network, batch, predictor.task.options())


def _fields(
    predictor: Predictor, layers: dict[str, _Seen], picture: np.ndarray, role: str, *, steps: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return name -> (rows (h, 2), columns (w, 2)): from which to which pixel each position of the map sees.

    Measured, so that it is right for any network: a stripe of the picture is made NaN, and wherever NaN
    comes out, that stripe was seen.
    """
    batch = moved(predictor.encode(list(picture)), predictor.module)
    x = getattr(batch, role)
    sides = x.shape[2:]
    seen: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    stripes = [np.linspace(0, side, min(side, steps) + 1).astype(int) for side in sides]
    for axis in (0, 1):
        edges = stripes[axis]
        touched: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        for start in range(0, len(edges) - 1, 16):
            chosen = list(itertools.pairwise(edges))[start : start + 16]
            spoilt = x.repeat(len(chosen), 1, 1, 1)
            for number, (low, high) in enumerate(chosen):
                spoilt[number].narrow(1 + axis, int(low), int(high - low)).fill_(float("nan"))
            inputs = Batch(**{**vars(batch), role: spoilt, "rows": np.arange(len(chosen))})
            for name, output in _outputs(predictor, layers, inputs, role, precision="float32").items():
                touched[name].append(output.isnan().any(1).any(2 - axis).cpu().numpy())
        for name in layers:
            seen[name].append(_spans(np.concatenate(touched[name]), edges))
    return {name: (rows, columns) for name, (rows, columns) in seen.items()}


def _spans(touched_SP: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """For each position (P) the first and last pixel of the stripes (S) that it sees; all of them if it sees none."""
    first = touched_SP.argmax(0)
    last = len(touched_SP) - touched_SP[::-1].argmax(0)
    none = ~touched_SP.any(0)
    first[none], last[none] = 0, len(touched_SP)
    return np.stack([edges[first], edges[last]], axis=1)


def _stage(
    name: str,
    layer: _Seen,
    spans: tuple[np.ndarray, np.ndarray],
    value_MU: np.ndarray,
    place_MU: np.ndarray,
    units: int,
    patches: int,
) -> Stage:
    rows, columns = spans
    order_PU = np.argsort(-value_MU, axis=0, kind="stable")[:patches]
    found = []
    for unit in _varied(value_MU, order_PU, units):
        pieces = []
        for picture in order_PU[:, unit].tolist():
            y, x = divmod(int(place_MU[picture, unit]), layer.shape[2])
            (top, bottom), (left, right) = rows[y].tolist(), columns[x].tolist()
            pieces.append(Patch(picture, top, bottom, left, right, float(value_MU[picture, unit])))
        found.append(Unit(unit, pieces))
    size = int((rows[:, 1] - rows[:, 0]).max()), int((columns[:, 1] - columns[:, 0]).max())
    return Stage(name, layer.kind, layer.shape, size, found, value_MU)


def _varied(value_MU: np.ndarray, order_PU: np.ndarray, number: int) -> list[int]:
    """Choose units that stand out most on their best pictures, and that prefer different ones from one another."""
    top_U = np.take_along_axis(value_MU, order_PU, axis=0).mean(0)
    strength_U = (top_U - value_MU.mean(0)) / (value_MU.std(0) + 1e-6)
    strength_U[value_MU.std(0) < 1e-6] = -np.inf
    chosen: list[int] = []
    shown: set[int] = set()
    for _ in range(min(number, int(np.isfinite(strength_U).sum()))):
        again_U = np.array([len(shown.intersection(order)) for order in order_PU.T.tolist()]) / len(order_PU)
        best = int(np.argmax(strength_U - 3 * again_U))
        chosen.append(best)
        shown.update(order_PU[:, best].tolist())
        strength_U[best] = -np.inf
    return chosen
