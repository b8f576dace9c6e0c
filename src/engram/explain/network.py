"""The network from input to output: watch one example pass, and note every layer in the order it is used.

Works for any `nn.Module`: layers are the modules without parts of their own, and beside them the functions
(activations, pooling, additions) that a network calls without a module. Nothing is read from source code.

Shapes: B examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ACTIVATIONS = frozenset(
    {"celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "mish", "prelu"}
    | {"relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh", "threshold"}
)
"""Functions that are activations; those that work in place end in an underscore."""

POOLS = {
    "amax": "maximum over positions",
    "mean": "mean over positions",
    "max_pool2d": "maximum pooling",
    "avg_pool2d": "average pooling",
    "adaptive_avg_pool2d": "average pooling",
    "adaptive_max_pool2d": "maximum pooling",
}
SUMS = frozenset({"add", "__add__", "__radd__", "add_", "__iadd__"})


@dataclass
class Layer:
    """One layer, as used. kind: a short name in plain words. shape: of its output, without the batch axis.

    parameters: numbers in it, counted where the layer is used first; fixed: how many of them are not learned.
    role: "weights", "norm", "activation", "pool", "sum" or "other". module: None for a function.
    """

    name: str
    kind: str
    role: str
    shape: tuple[int, ...]
    parameters: int = 0
    fixed: int = 0
    module: nn.Module | None = None


@dataclass
class Block:
    """A layer with weights and what follows it up to the next one.

    shape: after all of them. activation: name of the last activation function, or "".
    """

    layers: list[Layer] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the layer that the block begins with."""
        return self.layers[0].name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the block's output, without the batch axis."""
        return self.layers[-1].shape

    @property
    def parameters(self) -> int:
        """Numbers in the block."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def fixed(self) -> int:
        """Numbers in the block that are not learned."""
        return sum(layer.fixed for layer in self.layers)

    @property
    def activation(self) -> str:
        """The activation function of the block, "" for none."""
        return next((layer.kind for layer in reversed(self.layers) if layer.role == "activation"), "")


def layers(network: nn.Module, call: Callable[[], Any]) -> list[Layer]:
    """Return the layers in the order in which `call` uses them. `call` runs the network, without gradients."""
    found: list[Layer] = []
    counted: set[int] = set()

    def note(name: str, module: nn.Module, output: Any) -> None:
        if isinstance(output, tuple):
            output = output[0]
        if isinstance(output, Tensor) and not isinstance(module, nn.Identity | nn.Dropout):
            found.append(_layer(name, module, output, counted))

    with watching(network, note), torch.inference_mode(), _Functions(network, found, counted):
        call()
    return found


def blocks(found: list[Layer]) -> list[Block]:
    """Group layers: every layer with weights begins a block."""
    grouped: list[Block] = []
    for layer in found:
        if layer.role == "weights" or not grouped:
            grouped.append(Block())
        grouped[-1].layers.append(layer)
    return grouped


@contextmanager
def watching(network: nn.Module, note: Callable[[str, nn.Module, Any], None]) -> Iterator[None]:
    """Within the block, every use of a layer is told: `note(name, module, output)`."""
    handles = []
    for name, module in leaves(network).items():

        def hook(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
            note(name, module, output)

        handles.append(module.register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def leaves(network: nn.Module) -> Mapping[str, nn.Module]:
    """Modules without parts of their own, and attention, whose parts are not called one by one."""
    found: dict[str, nn.Module] = {}
    inside: tuple[str, ...] = ()
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Sequential) or name.startswith(inside or ("\0",)):
            continue
        if isinstance(module, nn.MultiheadAttention):
            inside = (*inside, f"{name}.")
            found[name] = module
        elif not list(module.children()):
            found[name] = module
    return found


def num_parameters(network: nn.Module) -> tuple[int, int]:
    """Return (numbers in the network, how many of them are learned)."""
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def _layer(name: str, module: nn.Module, output: Tensor, counted: set[int]) -> Layer:
    own = [p for p in module.parameters() if id(p) not in counted]
    counted.update(id(p) for p in own)
    fixed = sum(p.numel() for p in own if not p.requires_grad)
    kind, role = describe(module)
    return Layer(name, kind, role, tuple(output.shape[1:]), sum(p.numel() for p in own), fixed, module)


def describe(module: nn.Module) -> tuple[str, str]:
    """Return (kind in plain words, role) of a layer."""
    name = type(module).__name__
    if isinstance(module, nn.modules.conv._ConvNd):
        size = "×".join(map(str, module.kernel_size))
        step = f", step {module.stride[0]}" if module.stride[0] > 1 else ""
        return f"{size} convolution{step}", "weights"
    if isinstance(module, nn.Linear):
        return "linear layer", "weights"
    if isinstance(module, nn.MultiheadAttention):
        return f"attention, {module.num_heads} heads", "weights"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding", "weights"
    if "Norm" in name:
        return name, "norm"
    if "Pool" in name:
        size = getattr(module, "kernel_size", "")
        way = "maximum" if "Max" in name else "average"
        return f"{size}×{size} {way} pooling" if isinstance(size, int) else f"{way} pooling", "pool"
    if type(module).__module__ == "torch.nn.modules.activation":
        return name, "activation"
    return name, "weights" if any(True for _ in module.parameters()) else "other"


class _Functions(TorchFunctionMode):
    """Notes functions that a network calls outside its layers."""

    def __init__(self, network: nn.Module, found: list[Layer], counted: set[int]) -> None:
        super().__init__()
        self.found, self.counted = found, counted
        self.names = {id(p): name.rpartition(".")[0] for name, p in network.named_parameters()}
        self.inside = 0
        self.handles: list[Any] = []
        for module in leaves(network).values():
            self.handles.append(module.register_forward_pre_hook(self._enter))
            self.handles.append(module.register_forward_hook(self._leave))

    def _enter(self, *_: Any) -> None:
        self.inside += 1

    def _leave(self, *_: Any) -> None:
        self.inside -= 1

    def __exit__(self, *exception: Any) -> None:
        for handle in self.handles:
            handle.remove()
        super().__exit__(*exception)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if self.inside or not isinstance(output, Tensor) or output.ndim < 2:
            return output
        if func is nn.functional.linear:
            self.found.append(self._linear(args[1], output))
        elif name.rstrip("_") in ACTIVATIONS:
            self.found.append(Layer(name, name.rstrip("_"), "activation", tuple(output.shape[1:])))
        elif name in POOLS and _narrows(args, output):
            self.found.append(Layer(name, POOLS[name], "pool", tuple(output.shape[1:])))
        elif name in SUMS and self.found and _is_shortcut(args):
            self.found.append(Layer(name, "sum with what came in", "sum", tuple(output.shape[1:])))
        return output

    def _linear(self, weight: Tensor, output: Tensor) -> Layer:
        """A linear layer whose weight a network uses by itself, or several put together as one."""
        again = id(weight) in self.counted
        if (name := self.names.get(id(weight))) is not None:
            self.counted.add(id(weight))
        size = 0 if again else weight.numel()
        return Layer(name or "linear", "linear layer", "weights", tuple(output.shape[1:]), size)


def _narrows(args: Any, output: Tensor) -> bool:
    return bool(args) and isinstance(args[0], Tensor) and output.numel() < args[0].numel()


def _is_shortcut(args: Any) -> bool:
    """Two results of the same shape are added: a residual connection, not a bias."""
    shapes = [a.shape for a in args[:2] if isinstance(a, Tensor)]
    return len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) >= 3
