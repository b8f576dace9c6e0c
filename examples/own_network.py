"""A network of your own: any `torch.nn.Module`, trained like engram's.

    engram train photos/ --model examples/own_network.py:MyNet --budget 1m

A class or function is given those of `num_classes`, `input_shape` and `features` that it names.
"""

from __future__ import annotations

from torch import Tensor, nn


class MyNet(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, num_classes: int, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, _, _ = input_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(3),
            nn.Flatten(),
            nn.Linear(64 * 9, num_classes),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, num_classes)."""
        return self.layers(x_BCHW)
