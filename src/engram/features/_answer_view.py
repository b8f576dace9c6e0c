"""The view that answers are given for, as tensor operations that any runtime has: what `Image.encode` does to pixels.

A picture is cut to the shape that the network sees, from its middle, and sampled bilinearly; where it shrinks by half
or more, several samples a side are averaged. Rows and columns are independent of one another there, so that each is
one product with a matrix of weights, which is found from the sizes alone.

Shapes: B pictures, h x w as they come, H x W as the network sees them, C channels; along one side n stored pixels, N
seen, S samples of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

MAX_OVERSAMPLING = 8


class AnswerView(nn.Module):
    """Turn decoded pictures, uint8 (B, h, w, C), into what the network sees, float32 (B, C, H, W).

    size: (H, W). mean, std: of each channel, on a scale of 0 to 1, (C,); they are buffers.
    """

    mean: Tensor
    std: Tensor
    record: dict[str, Any]

    def __init__(self, *, size: Sequence[int], channels: int) -> None:
        super().__init__()
        self.size = (size[0], size[1])
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def forward(self, pixels_BhwC: Tensor) -> Tensor:
        """Cut, sample, normalise."""
        height, width = pixels_BhwC.shape[1:3]
        # From the axes as tensors, not from numbers: an exported graph is to find the sides anew for every size.
        y_h = torch.arange(height, device=self.mean.device).float()
        x_w = torch.arange(width, device=self.mean.device).float()
        scale = torch.minimum((y_h[-1] + 1) / self.size[0], (x_w[-1] + 1) / self.size[1])
        rows_Hh, columns_Ww = tent(y_h, self.size[0], scale), tent(x_w, self.size[1], scale)
        x_BCHW = rows_Hh @ pixels_BhwC.permute(0, 3, 1, 2).float() @ columns_Ww.T
        factor_C, shift_C = 1 / (255 * self.std), -self.mean / self.std
        return x_BCHW * factor_C[:, None, None] + shift_C[:, None, None]


def tent(place_n: Tensor, seen: int, scale: Tensor) -> Tensor:
    """Weights (seen, n) of stored pixels at 0 to n - 1 for each seen one; scale: stored pixels for one seen."""
    times = torch.where(scale < 1.5, 1.0, (scale - 0.25).ceil().clamp(1, MAX_OVERSAMPLING))
    sample_S = torch.arange(MAX_OVERSAMPLING, device=scale.device).float()
    seen_NS = torch.arange(seen, device=scale.device).float()[:, None] + (sample_S + 0.5) / times
    last = place_n[-1]
    position_NS = (seen_NS - seen / 2) * scale + last / 2
    position_NS = torch.minimum(position_NS.clamp(min=0), last)  # beyond the edge the edge goes on
    weight_NSn = (1 - (position_NS[..., None] - place_n).abs()).clamp(min=0)
    counted_S1 = (sample_S < times).float()[:, None] / times
    return (weight_NSn * counted_S1).sum(1)
