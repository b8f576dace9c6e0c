"""Training throughput, and the share of it that is kernels: each layer alone against the whole step.

    python benchmarks/throughput.py [--shape 1 28 28] [--batch 500]

For each size of the convolutional network, every layer's forward and backward pass is timed by itself, at the
shapes, precision and memory layout it has in training. Their sum is the least a step could take; the whole step
also reads, augments, measures the loss and moves the weights. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor, nn

from engram.core import machine
from engram.core.task import Batch
from engram.data.augment.pictures import Pictures
from engram.data.examples import Examples
from engram.data.stored import Stored
from engram.features.category import Category
from engram.features.image import Image
from engram.optim.build import optimizers
from engram.tasks.image_classification import ImageClassification
from engram.train import precision
from engram.train.plan import Plan
from engram.train.trainer import place


def best(call: Callable[[], object], times: int = 8) -> float:
    """Shortest of some runs, in seconds."""
    found = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - began)
    return found


def bare(layer: nn.Module, x: Tensor) -> float:
    """Seconds of a layer's forward and backward pass on an input of this shape."""
    x = x.detach().requires_grad_()
    parameters = [p for p in layer.parameters() if p.requires_grad]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gradient = torch.ones_like(layer(x))

    def both() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x)
        torch.autograd.grad(y, [x, *parameters], gradient)

    return best(both)


def examples(shape: tuple[int, int, int], number: int) -> Examples:
    """Random pictures of ten classes."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (number, *shape[1:], shape[0]), dtype=np.uint8)
    sizes = np.tile(np.array(shape[1:], dtype=np.int32), (number, 1))
    names = [str(label) for label in random.integers(0, 10, number)]
    ok, digest = np.ones(number, dtype=bool), random.integers(0, 255, (number, 16), dtype=np.uint8)
    stored = {
        "image": Stored({"pixels": pixels, "size": sizes}, ok, digest),
        "label": Stored({"name": names}, ok, digest),
    }
    features = {"image": Image(channels=shape[0], size=shape[1:]), "label": Category()}
    rows = np.arange(number)
    for role, feature in features.items():
        feature.fit(stored[role], rows)
    return Examples(features, stored, {"train": rows})


def measure(size: str, shape: tuple[int, int, int], batch_size: int) -> None:
    """Print one line for one size of network."""
    from types import SimpleNamespace

    task, data = ImageClassification(), examples(shape, 4 * batch_size)
    chosen = precision.choose_precision(torch.device("cpu"))[0]
    plan = Plan(batch_size=batch_size, micro_batch=batch_size, precision=chosen)
    network = place(task.model(size, SimpleNamespace(**data.features)), plan).train()
    made = optimizers(network, plan.optimizer)
    way = Pictures(size=shape[1:], mirror=True, shift=2)

    def step() -> None:
        batch: Batch = data.batch(np.arange(batch_size), augmentation=way, epoch=1)
        with precision.autocast(chosen, torch.device("cpu")):
            loss = task.step(network, batch).loss_sum
        (loss / batch_size).backward()
        for optimizer in made:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    seen: list[tuple[nn.Module, Tensor]] = []
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_pre_hook(lambda layer, x: seen.append((layer, x[0]))) for layer in leaves]
    step()
    for hook in hooks:
        hook.remove()
    alone = {type(layer).__name__: 0.0 for layer, _ in seen}
    for layer, x in seen:
        alone[type(layer).__name__] += bare(layer, x)
    whole = best(step)
    parts = ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in sorted(alone.items(), key=lambda a: -a[1]))
    print(
        f"{size}: {batch_size / whole:,.0f} examples/s; step {1000 * whole:.0f} ms, layers alone "
        f"{1000 * sum(alone.values()):.0f} ms ({parts}): share {sum(alone.values()) / whole:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(1, 28, 28), metavar=("C", "H", "W"))
    parser.add_argument("--batch", type=int, default=500)
    arguments = parser.parse_args()
    with machine.keeping_memory():
        for size in ("small", "medium", "large"):
            measure(size, tuple(arguments.shape), arguments.batch)


if __name__ == "__main__":
    main()
