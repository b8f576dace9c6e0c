"""What is delivered: network, perhaps a floor blended with it, calibration and unfamiliarity score, as one module.

Shapes: B examples, C classes, D width of the network's last hidden layer, R whitened directions of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Self

import torch
from torch import Tensor, nn

from engram.core.errors import unknown

VIEWS = ("plain", "mirror", "up-left", "down-right", "mirror-up-left", "mirror-down-right")
"""Ways an input can be looked at, in the order in which a few of them help most."""

WIDEST_HIDDEN = 8192
"""Of wider last hidden layers nothing is kept, and inputs are judged by their logits."""

MAX_DIRECTIONS = 512
"""At most so many directions of the last hidden layer are looked at for unfamiliarity: 1 MiB for each 512 of D."""

FEW = 128
"""Looks at so many examples are computed at once."""

_kept: ContextVar[list[Tensor] | None] = ContextVar("kept", default=None)


class Delivered(nn.Module):
    """A trained network that answers with calibrated logits and says how unfamiliar its input was.

    views: the ways each input is looked at, out of `VIEWS`, "plain" first; the answer is the weighted mean of
    the logits over them. num_hidden: D, see `hidden_width`; 0 where the network has no linear layer.
    floor: a cheap model of the same inputs and outputs, by its name too, that counts in the answer: the logits are
    `share` times the network's and 1 - `share` times the floor's, each divided by a temperature of its own.
    Buffers are filled by `engram.evaluate` (calibration, unfamiliarity); unfilled, they change nothing.

    Unfamiliarity is the distance of the last hidden layer's activations from the nearest class, in units of
    the classes' own spread (Lee et al. 2018, arXiv:1807.03888), of the activations and of their direction
    together; or minus the largest logit where there is no such layer (Hendrycks et al. 2022,
    arXiv:1911.11132). It is said on a scale of its own: 0 is typical of validation data, 1 is what 99 % of
    them stay below, and an input above 1 is called unfamiliar.
    """

    temperature: Tensor
    bias: Tensor
    share: Tensor
    temperatures: Tensor
    hidden_mean: Tensor
    hidden_whitening: Tensor
    typical: Tensor
    threshold: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        num_outputs: int,
        num_hidden: int,
        views: tuple[str, ...] = ("plain",),
        floor: nn.Module | None = None,
        floor_name: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.views = tuple(views)
        self.view_weights = view_weights(self.views)
        num_directions = min(num_hidden, MAX_DIRECTIONS)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("bias", torch.zeros(num_outputs))
        self.register_buffer("hidden_mean", torch.zeros(2, num_outputs, num_directions))  # in whitened coordinates
        self.register_buffer("hidden_whitening", torch.zeros(2, num_hidden, num_directions))
        self.register_buffer("typical", torch.zeros(()))
        self.register_buffer("threshold", torch.tensor(float("inf")))
        self.floor: nn.Module | None = None
        self.floor_name = ""
        if floor is not None:
            self.blend(floor, floor_name)
        last = last_linear(network)
        if last is not None and num_hidden:
            last.register_forward_pre_hook(_keep_hidden)

    def look_at(self, views: tuple[str, ...]) -> None:
        """Change the views that answers are averaged over."""
        self.views, self.view_weights = tuple(views), view_weights(tuple(views))

    def blend(
        self, floor: nn.Module, name: str, *, share: float = 1.0, temperatures: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        """Let a floor count in the answer. temperatures: the network's and the floor's."""
        self.floor, self.floor_name = floor, name
        self.register_buffer("share", torch.tensor(share).to(self.bias))
        self.register_buffer("temperatures", torch.tensor(temperatures).to(self.bias))

    def record(self) -> dict[str, Any]:
        """What run.json says of it: the arguments that build it again around its network, and what counts how much."""
        num_hidden = self.hidden_whitening.shape[1]
        record = {"views": list(self.views), "num_outputs": len(self.bias), "num_hidden": num_hidden}
        if self.floor is not None:
            record |= {"floor": self.floor_name, "share_of_network": round(self.share.item(), 4)}
        return record

    @classmethod
    def rebuilt(cls, record: Mapping[str, Any], network: nn.Module, floor: Callable[[str], nn.Module]) -> Self:
        """Build around a network what `record` says, its numbers unfilled. floor: makes one by its name."""
        views, outputs, hidden = tuple(record["views"]), int(record["num_outputs"]), int(record["num_hidden"])
        module = cls(network, views=views, num_outputs=outputs, num_hidden=hidden)
        if (name := record.get("floor")) is not None:
            module.blend(floor(name), name)
        return module

    def alone(self) -> nn.Module | None:
        """Return what the network answers by itself, where a floor counts in what this answers; else None."""
        return NetworkAlone(self).eval() if self.floor is not None else None

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return calibrated logits (B, C): the network's, perhaps blended, over the temperature, plus the bias."""
        logits_BC = self.seen(*inputs)
        if self.floor is not None:
            floor_BC = self.floor(*inputs).float() / self.temperatures[1]
            logits_BC = self.share * logits_BC / self.temperatures[0] + (1 - self.share) * floor_BC
        return logits_BC / self.temperature + self.bias

    def seen(self, *inputs: Tensor) -> Tensor:
        """Return the network's logits (B, C), the mean over views."""
        if len(self.views) > 1 and self._are_few(inputs[0]):
            return self._seen_at_once(*inputs)
        if self.views == ("plain",):
            logits_BC: Tensor = self.network(*inputs).float()
            return logits_BC
        logits_BC = torch.zeros(())
        for view, weight in zip(self.views, self.view_weights, strict=True):
            seen_BC = weight * self.network(*look(view, inputs)).float()
            logits_BC = seen_BC if view == self.views[0] else logits_BC + seen_BC
        return logits_BC

    def _are_few(self, x: Tensor) -> bool:
        """Whether all views are computed at once; a traced program is for few, an exported one for any number."""
        if torch.jit.is_tracing():
            return True
        return not torch.compiler.is_exporting() and len(self.views) * len(x) <= FEW

    def _seen_at_once(self, *inputs: Tensor) -> Tensor:
        """The same for few examples, where calling the network takes longer than what it computes: all views in one."""
        looks = zip(*(look(view, inputs) for view in self.views), strict=True)
        logits_NC = self.network(*(joined(looked) for looked in looks)).float()
        if kept := _kept.get():
            kept[-1] = kept[-1][: inputs[0].shape[0]]
        parts = logits_NC.chunk(len(self.views))
        return torch.stack([weight * part for weight, part in zip(self.view_weights, parts, strict=True)]).sum(0)

    def hidden(self, call: Callable[[nn.Module], Any]) -> tuple[Any, Tensor | None]:
        """Run `call(self)` and return (its result, the input of the last linear layer for the first view (B, D)).

        None where the network has no linear layer or does not use it. Threads do not see one another's.
        """
        kept: list[Tensor] = []
        token = _kept.set(kept)
        try:
            result = call(self)
        finally:
            _kept.reset(token)
        return result, kept[0] if kept else None

    def watched(self, call: Callable[[nn.Module], Any]) -> tuple[Any, Tensor]:
        """Run `call(self)`, which gives logits (B, C), and return (its result, the unfamiliarity (B,))."""
        logits_BC, hidden_BD = self.hidden(call)
        return logits_BC, self.unfamiliarity(hidden_BD, logits_BC)

    @staticmethod
    def aspects(hidden_BD: Tensor) -> Tensor:
        """Return (2, B, D): activations as they are, and their direction alone.

        Strange inputs may excite the last layer in a strange way, or hardly at all: a blank picture lies near every
        class and is told by its direction, which is that of none.
        """
        return torch.stack([hidden_BD.float(), nn.functional.normalize(hidden_BD.float(), dim=1)])

    def distance(self, hidden_BD: Tensor | None, logits_BC: Tensor) -> Tensor:
        """Return (B,) how far off inputs are, before it is brought to a scale; see the class."""
        if hidden_BD is None:
            return -logits_BC.amax(1).float()
        with torch.autocast(hidden_BD.device.type, enabled=False):
            white_2BR = self.aspects(hidden_BD) @ self.hidden_whitening
            exact = "donot_use_mm_for_euclid_dist"  # the fast way loses the small differences of large numbers
            distance_2BC = torch.cdist(white_2BR, self.hidden_mean, compute_mode=exact)
            return distance_2BC.amin(2).square().sum(0).sqrt()

    def unfamiliarity(self, hidden_BD: Tensor | None, logits_BC: Tensor) -> Tensor:
        """Return (B,) how unfamiliar inputs are: 0 is typical, above 1 is unfamiliar."""
        return (self.distance(hidden_BD, logits_BC) - self.typical) / (self.threshold - self.typical)


class NetworkAlone(nn.Module):
    """What the network of a delivered blend would answer by itself, at its own temperature."""

    def __init__(self, delivered: Delivered) -> None:
        super().__init__()
        self.delivered = delivered

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits (B, C)."""
        return self.delivered.seen(*inputs) / self.delivered.temperatures[0]


def _keep_hidden(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    """Keep what the last linear layer is given, if this thread asked; positions or tokens are averaged."""
    compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if compiling or (kept := _kept.get()) is None:
        return
    hidden = arguments[0].detach().float()
    kept.append(hidden if hidden.ndim == 2 else hidden.flatten(1, -2).mean(1))


def last_linear(network: nn.Module) -> nn.Linear | None:
    """Return the linear layer registered last: the head of nearly every network."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def hidden_width(network: nn.Module) -> int:
    """Return the width of the last hidden layer: what the last linear layer takes in.

    0 without one, and where it is so wide (a flattened picture) that its spread would outweigh the network.
    """
    last = last_linear(network)
    return last.in_features if last is not None and last.in_features <= WIDEST_HIDDEN else 0


def view_weights(views: tuple[str, ...]) -> list[float]:
    """Return how much each view counts; the sum is 1. Pictures that were not moved count double.

    The weights of Keller Jordan's airbench (github.com/KellerJordan/cifar10-airbench). ConfigError for an
    unknown view.
    """
    for view in views:
        if view not in VIEWS:
            raise unknown("view", view, VIEWS)
    counts = [2.0 if view in ("plain", "mirror") else 1.0 for view in views]
    return [count / sum(counts) for count in counts]


def look(view: str, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Look at pictures (B, C, H, W) another way: mirrored, or moved a little. Other inputs stay as they are."""
    if view == "plain":
        return inputs
    return tuple(_moved(view, x) if x.ndim == 4 else x for x in inputs)


def joined(looked: tuple[Tensor, ...]) -> Tensor:
    """Put views one after the other, laid out in memory as each of them is."""
    channels_last = looked[0].ndim == 4 and not looked[0].is_contiguous()
    found = torch.cat(looked)
    return found.contiguous(memory_format=torch.channels_last) if channels_last else found


def _moved(view: str, x_BCHW: Tensor) -> Tensor:
    """Mirror, then move by one pixel in 32; what comes in at the edge repeats it."""
    if view.startswith("mirror"):
        x_BCHW = x_BCHW.flip(-1)
    height, width = x_BCHW.shape[-2:]
    far = max(1, min(height, width) // 32)
    for word, start in {"up-left": 2 * far, "down-right": 0}.items():
        if view.endswith(word):
            padded = nn.functional.pad(x_BCHW, (far, far, far, far), mode="replicate")
            seen_BCHW = padded[..., start : start + height, start : start + width]
            return torch.empty_like(x_BCHW).copy_(seen_BCHW)  # laid out as the picture itself: not all take a slice
    return x_BCHW
