"""One example followed through the network to its loss, and the loss followed back to every weight and pixel.

Shapes: C classes, K maps shown, h × w positions of a map, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.task import Batch
from engram.explain.network import Layer, blocks, describe, watching
from engram.predict.answering import moved
from engram.predict.predictor import Predictor

MAPS = 6
"""Maps shown of each block: those that vary most over the picture."""

COPIES = 12
NOISE = 0.15
"""Saliency is the mean over so many copies with so much noise, in units of the pixels' spread (SmoothGrad,
Smilkov et al. 2017, arXiv:1706.03825): one copy's gradient alone is mostly noise."""


@dataclass
class Passed:
    """What one block made of the example. maps: (K, h, w), or None for a vector. active: share above zero."""

    name: str
    kind: str
    activation: str
    shape: tuple[int, ...]
    active: float
    maps: np.ndarray | None = None


@dataclass
class Pushed:
    """How hard the loss pulls at one layer. gradient, weight: Euclidean lengths."""

    name: str
    kind: str
    gradient: float
    weight: float

    @property
    def relative(self) -> float:
        """The gradient's length beside that of the weights themselves."""
        return self.gradient / self.weight if self.weight else 0.0


@dataclass
class Walk:
    """Forward: `passed`, then logits and probabilities (C,). Backward from the loss (nats): `pushed`, saliency.

    label: (C,), 1 where the example has the class. saliency: (H, W), how much each pixel moves the loss; from 0 to 1.
    """

    passed: list[Passed]
    logits: np.ndarray
    probabilities: np.ndarray
    label: np.ndarray
    loss: float
    pushed: list[Pushed]
    saliency: np.ndarray


def walk(predictor: Predictor, picture: np.ndarray, classes: Sequence[int], *, copies: int = COPIES) -> Walk | None:
    """Follow a picture (H, W, C) with its true classes. None where the task's output is not logits.

    Runs in float32 and leaves no gradients behind.
    """
    task = predictor.task
    if task.answers.calibration is None:
        return None
    role = next(iter(task.inputs))
    batch = moved(predictor.encode([picture]), predictor.module)
    x = getattr(batch, role).detach().requires_grad_()
    with torch.enable_grad(), _FirstPass(predictor.network) as passed:
        logits_C = _logits(predictor, batch, role, x)[0]
    label_C = torch.zeros_like(logits_C)
    label_C[list(classes)] = 1
    loss = _loss(logits_C, label_C, task.answers.calibration)
    named = [(name, p) for name, p in predictor.network.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
    several = task.answers.calibration == "sigmoid"
    probabilities = logits_C.sigmoid() if several else logits_C.softmax(0)
    return Walk(
        passed=_summed_up(passed),
        logits=logits_C.detach().cpu().numpy(),
        probabilities=probabilities.detach().cpu().numpy(),
        label=label_C.cpu().numpy(),
        loss=float(loss.detach()),
        pushed=_pushed(predictor.network, named, gradients),
        saliency=_saliency(predictor, batch, role, label_C, copies=copies),
    )


class _FirstPass:
    """Within the block, collect (layer, output) of the network's first use: the plain view."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.found: list[tuple[Layer, Tensor]] = []
        self.over = False

    def __enter__(self) -> list[tuple[Layer, Tensor]]:
        self.watch = watching(self.network, self._note)
        self.watch.__enter__()
        self.handle = self.network.register_forward_hook(self._end)
        return self.found

    def __exit__(self, *exception: Any) -> None:
        self.handle.remove()
        self.watch.__exit__(*exception)

    def _end(self, *_: Any) -> None:
        self.over = True

    def _note(self, name: str, module: nn.Module, output: Any) -> None:
        if not self.over and isinstance(output, Tensor) and output.ndim >= 2:
            kind, role = describe(module)
            self.found.append((Layer(name, kind, role, tuple(output.shape[1:])), output.detach()[0]))


def _summed_up(passed: list[tuple[Layer, Tensor]]) -> list[Passed]:
    outputs = {id(layer): output for layer, output in passed}
    found = []
    for block in blocks([layer for layer, _ in passed]):
        last = outputs[id(block.layers[-1])].float().cpu()
        maps = _most_varied(last) if last.ndim == 3 and min(last.shape[1:]) > 1 else None
        active = float((last > 0).float().mean())
        found.append(Passed(block.name, block.layers[0].kind, block.activation, block.shape, active, maps))
    return found


def _most_varied(output_Chw: Tensor) -> np.ndarray:
    """The K maps with the largest spread, in the order of the channels."""
    chosen = output_Chw.flatten(1).std(1).topk(min(MAPS, len(output_Chw))).indices.sort().values
    return np.asarray(output_Chw[chosen])


def _logits(predictor: Predictor, batch: Batch, role: str, x: Tensor) -> Tensor:
    inputs = Batch(**{**vars(batch), role: x})
    output: Tensor = predictor.task.predict(predictor.module, inputs, predictor.task.options())
    return output


def _loss(logits: Tensor, label: Tensor, calibration: str) -> Tensor:
    """The loss of one example, or the sum over a batch, in nats."""
    if calibration == "sigmoid":
        return nn.functional.binary_cross_entropy_with_logits(logits, label, reduction="sum")
    return -(logits.log_softmax(-1) * label).sum()


def _pushed(
    network: nn.Module, named: Sequence[tuple[str, nn.Parameter]], gradients: Sequence[Tensor | None]
) -> list[Pushed]:
    """One entry a layer that has weights to learn, in the network's order."""
    layers: dict[str, list[tuple[nn.Parameter, Tensor]]] = {}
    for (name, parameter), gradient in zip(named, gradients, strict=True):
        if gradient is not None:
            layers.setdefault(name.rpartition(".")[0], []).append((parameter, gradient))
    modules = dict(network.named_modules())
    return [
        Pushed(
            name or "network",
            describe(modules[name])[0],
            float(sum(g.float().square().sum() for _, g in pairs)) ** 0.5,
            float(sum(p.detach().float().square().sum() for p, _ in pairs)) ** 0.5,
        )
        for name, pairs in layers.items()
    ]


def _saliency(predictor: Predictor, batch: Batch, role: str, label_C: Tensor, *, copies: int) -> np.ndarray:
    """How much each pixel moves the loss, as the mean over noisy copies, from 0 to 1."""
    assert predictor.task.answers.calibration is not None
    plain = getattr(batch, role).detach()
    noise = torch.randn(copies, *plain.shape[1:], generator=torch.Generator().manual_seed(0)).to(plain)
    x = (plain + NOISE * noise * plain.std()).requires_grad_()
    with torch.enable_grad():
        loss = _loss(_logits(predictor, batch, role, x), label_C.expand(copies, -1), predictor.task.answers.calibration)
    (gradient,) = torch.autograd.grad(loss, [x])
    strength = gradient.abs().mean(0).sum(0)
    return np.asarray((strength / strength.max().clamp(min=1e-20)).float().cpu())
