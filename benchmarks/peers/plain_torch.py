"""Plain PyTorch: the loop that one writes by hand around a small ResNet.

Settings: "float32"; "bfloat16", with autocast and channels_last; and "small", which is bfloat16 with the network of the
throughput measurement in place of the ResNet. Everything else is the same.
"""

from __future__ import annotations

import time

import numpy as np
import peer
import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH, PEAK = 250, 0.006


def convolution(ins: int, outs: int, *, pool: bool = False) -> nn.Sequential:
    """3×3 convolution; pooling to half the size comes before normalisation, which then has less to do."""
    pooling = [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(nn.Conv2d(ins, outs, 3, padding=1, bias=False), *pooling, nn.BatchNorm2d(outs), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def resnet9(width: int = 32) -> nn.Module:
    """The network that won DAWNBench, narrower: eight convolutions and a linear layer."""
    return nn.Sequential(
        convolution(1, width),
        convolution(width, 2 * width, pool=True),
        Residual(2 * width),
        convolution(2 * width, 4 * width, pool=True),
        convolution(4 * width, 4 * width, pool=True),
        Residual(4 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


def small_network(widths: tuple[int, ...] = (32, 96, 128)) -> nn.Module:
    """The network of the throughput measurement: two 3×3 convolutions a stage, each stage half the size."""
    layers, ins = [], 1
    for outs in widths:
        layers += [convolution(ins, outs, pool=True), convolution(outs, outs)]
        ins = outs
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(ins, 10))


class Loop:
    """A network, its optimizer and schedule, and the steps they take."""

    def __init__(self, network: nn.Module, *, fast: bool, steps: int) -> None:
        self.fast, self.layout = fast, torch.channels_last if fast else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, PEAK, steps)

    def logits(self, pictures: np.ndarray) -> Tensor:
        x = torch.from_numpy(pictures)[:, None].contiguous(memory_format=self.layout)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.fast):
            return self.network(x).float()

    def step(self, pictures: np.ndarray, labels: np.ndarray) -> None:
        loss = functional.cross_entropy(self.logits(pictures), torch.from_numpy(labels), label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()

    @torch.no_grad()
    def accuracy(self, data: peer.Data) -> float:
        self.network.eval()
        parts = [self.logits(peer.scaled(part)).argmax(1) for part in np.array_split(data.x_test, 20)]
        self.network.train()
        return float(np.mean(torch.cat(parts).numpy() == data.y_test))


def quality(data: peer.Data, network: nn.Module, *, fast: bool, epochs: int, seed: int, mirror: bool) -> None:
    random = np.random.default_rng(seed)
    watch = peer.Watch()
    count = len(data.x_train) // BATCH
    loop = Loop(network, fast=fast, steps=epochs * count)
    for epoch in range(1, epochs + 1):
        for rows in random.permutation(len(data.x_train))[: count * BATCH].reshape(count, BATCH):
            loop.step(*peer.batch(data, rows, random, mirror=mirror))
        watch.score(epoch, lambda: loop.accuracy(data))


def throughput(data: peer.Data, *, fast: bool) -> None:
    loop, seconds = Loop(small_network(), fast=fast, steps=peer.ROUNDS * peer.STEPS), []
    pictures, labels = peer.scaled(data.x_train), data.y_train
    for _ in range(peer.ROUNDS):
        began = time.perf_counter()
        for step in range(peer.STEPS):
            rows = slice(step * peer.BATCH, (step + 1) * peer.BATCH)
            loop.step(pictures[rows], labels[rows])
        seconds.append(time.perf_counter() - began)
    peer.print_throughput(seconds)


def main() -> None:
    given = peer.arguments("float32", "bfloat16", "small")
    data, fast = peer.read(given.data), given.setting != "float32"
    torch.manual_seed(given.seed)
    if given.measure == "throughput":
        throughput(data, fast=fast)
    else:
        network = small_network() if given.setting == "small" else resnet9()
        quality(data, network, fast=fast, epochs=given.epochs, seed=given.seed, mirror=given.mirror)


if __name__ == "__main__":
    main()
