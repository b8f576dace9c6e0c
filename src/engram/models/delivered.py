"""What is delivered: network, calibration and unfamiliarity score, as one module.

Shapes: B examples, C classes, D width of the network's last hidden layer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Delivered(nn.Module):
    """A trained network that answers with calibrated logits and says how unfamiliar its input was.

    `views` names the ways each input is looked at ("plain", "mirror", "left", ...); the answer is the mean
    of the logits over them. All buffers are filled by `engram.evaluate`; unfilled, they change nothing.
    """

    def __init__(self, network: nn.Module, *, num_outputs: int, num_hidden: int, views: tuple[str, ...] = ("plain",)) -> None:
        super().__init__()
        self.network = network
        self.views = views
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("bias", torch.zeros(num_outputs))
        self.register_buffer("hidden_mean", torch.zeros(num_outputs, num_hidden))
        self.register_buffer("hidden_whitening", torch.zeros(num_hidden, num_hidden))
        self.register_buffer("threshold", torch.tensor(float("inf")))
        self._capture = threading.local()
        last = last_linear(network)
        if last is not None:
            last.register_forward_pre_hook(self._keep_hidden)

    def _keep_hidden(self, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if (kept := getattr(self._capture, "hidden", None)) is not None:
            kept.append(arguments[0].detach().float())

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return calibrated logits of shape (B, C): the mean over views, divided by the temperature, plus the bias."""
        logits = torch.stack([self.network(*look(view, inputs)).float() for view in self.views]).mean(0)
        return logits / self.temperature + self.bias

    def hidden(self, call: Callable[[nn.Module], Any]) -> tuple[Any, Tensor | None]:
        """Run `call(self)` and return (its result, the input of the last linear layer for the first view (B, D))."""
        self._capture.hidden = kept = []
        try:
            result = call(self)
        finally:
            self._capture.hidden = None
        return result, kept[0] if kept else None

    def unfamiliarity(self, hidden_BD: Tensor) -> Tensor:
        """Distance (B,) of hidden activations from the nearest class, in units of the classes' own spread."""
        centred_BCD = (hidden_BD[:, None, :] - self.hidden_mean[None]) @ self.hidden_whitening
        return centred_BCD.square().sum(-1).min(-1).values.sqrt()


def last_linear(network: nn.Module) -> nn.Linear | None:
    """Return the linear layer registered last: the head of nearly every network."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def look(view: str, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Look at pictures (B, C, H, W) another way: mirrored, or moved by one pixel. Other inputs stay as they are."""
    if view == "plain":
        return inputs
    return tuple(_moved(view, x) if x.ndim == 4 else x for x in inputs)


def _moved(view: str, x_BCHW: Tensor) -> Tensor:
    if view.startswith("mirror"):
        x_BCHW = x_BCHW.flip(-1)
    for word, (dy, dx) in {"up-left": (1, 1), "down-right": (-1, -1)}.items():
        if view.endswith(word):
            padded = nn.functional.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
            height, width = x_BCHW.shape[-2:]
            return padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    return x_BCHW
