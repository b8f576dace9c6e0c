"""The convolutional network for pictures: a whitening layer, stages of 3×3 convolutions, a linear head.

Shapes: B pictures, C channels, H × W pixels. Each stage halves the map and widens the network: what is
seen first are edges, then textures and parts, then whole things.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from engram.models.layers.convolution import Convolution3x3
from engram.models.layers.whitening import Whitening


class Stage(nn.Module):
    """Convolution, pooling to half the size, then further convolutions; the third and later are residual.

    Pooling comes before normalisation and activation, which then have a quarter of the work.
    """

    def __init__(self, in_channels: int, out_channels: int, *, depth: int) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * depth
        self.convolutions = nn.ModuleList(Convolution3x3(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(out_channels) for _ in range(depth))
        for norm in self.norms:
            norm.weight.requires_grad_(False)  # the next convolution can scale; one dial less
        self.pool = nn.MaxPool2d(2)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H // 2, W // 2)."""
        x = self.activation(self.norms[0](self.pool(self.convolutions[0](x))))
        for position, (convolution, norm) in enumerate(zip(self.convolutions[1:], self.norms[1:], strict=True)):
            y = norm(convolution(x))
            x = self.activation(y + x if position > 0 else y)
        return x


class ConvNet(nn.Module):
    """A network that gives each picture (B, C, H, W) `num_classes` logits.

    input_shape: (C, H, W) that it is made for; other sizes work as long as every stage has something to halve.
    widths, depth: channels of each stage, and convolutions in each.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[int] = (64, 256, 256),
        depth: int = 2,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        stride = stem_stride(min(height, width))
        kernel = 2 if stride == 1 else 2 * stride
        self.whitening = Whitening(channels, kernel=kernel, stride=stride, components=32)
        self.activation = nn.SiLU()
        ins = [self.whitening.out_channels, *widths]
        self.stages = nn.Sequential(*(Stage(a, b, depth=depth) for a, b in pairwise(ins)))
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    any_size: ClassVar[bool] = True
    """It takes smaller pictures too than it is made for."""

    recipe: ClassVar[dict[str, object]] = {
        "optimizer.rotate": True,
        "optimizer.muon_learning_rate": 0.06,
        "optimizer.muon_momentum": 0.6,
        "optimizer.head_learning_rate": 0.01,
        "optimizer.vector_learning_rate": 0.02,
        "optimizer.weight_decay": 0.0,
        "optimizer.warmup": 0.0,
    }
    """Numbers of the plan that were found best for this network (LOG.md, 2026-11-22)."""

    def initialise(self, x_BCHW: Tensor) -> None:
        """Set the whitening layer from a batch of pictures as the network will see them."""
        self.whitening.initialise(x_BCHW)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, num_classes)."""
        x = self.activation(self.whitening(x_BCHW))
        x = self.stages(x)
        return self.head(x.amax((2, 3)))


def stem_stride(side: int) -> int:
    """How far apart the first layer looks, so that the map after it is about 32 pixels wide (224 px: 56)."""
    return 1 if side < 48 else 2 if side < 96 else 4


def stages_for(side: int, stride: int) -> int:
    """How many stages bring a picture's short side down to a map of 2 to 7."""
    count, side = 0, side // stride
    while (side >= 6 and count < 5) or count < 2:
        side, count = side // 2, count + 1
    return count


def sized(size: str, input_shape: Sequence[int]) -> dict[str, object]:
    """The widths and depth that "small", "medium" and "large" stand for at an input shape."""
    side = min(input_shape[1:])
    count = stages_for(side, stem_stride(side))
    widths = {
        "small": (32, 96, 128) if count <= 3 else (24, 48, 96, 128, 192),
        "medium": (64, 128, 256) if count <= 3 else (48, 96, 192, 256, 384),
        "large": (96, 256, 384) if count <= 3 else (64, 128, 256, 384, 512),
    }[size]
    return {"widths": widths[:count], "depth": 3 if size == "large" else 2}
