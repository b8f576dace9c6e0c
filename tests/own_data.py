"""Small data sets and networks such as users bring."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

import engram


class Points(Dataset):
    """Points in the plane with noise from all three sources, and which of three sectors each lies in."""

    def __init__(self, number: int = 120, *, noise: float = 0.1) -> None:
        self.number, self.noise, self.asked = number, noise, []

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        self.asked.append(row)
        noise = torch.randn(2) + np.random.randn() + random.gauss(0, 1)
        angle = torch.tensor(2 * np.pi * (row % 3) / 3 + 0.2)
        return torch.stack([angle.cos(), angle.sin()]) + self.noise * noise.float(), row % 3


class Net(nn.Sequential):
    """Two numbers -> three logits, with some luck in training."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 16), nn.Linear(16, 3))


def loss(model, batch):
    """The mean loss alone."""
    x, label = batch
    return nn.functional.cross_entropy(model(x), label)


def step(model, batch):
    """Loss, weight and output."""
    x, label = batch
    logits = model(x)
    return engram.Step(nn.functional.cross_entropy(logits, label, reduction="sum"), len(x), logits)


def share_right(logits, batch):
    """Per example, whether the answer is right."""
    return (logits.argmax(1) == batch[1]).float()


share_right.higher_is_better = True
