"""The first layer, set from data instead of learned: it takes neighbouring pixels apart into independent parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Whitening(nn.Conv2d):
    """A fixed convolution whose filters are the principal components of patches, scaled to equal variance.

    Each component stands with both signs, so that an activation after it loses nothing; the bias is
    learned. Jordan 2024, arXiv:2404.00498. Until `initialise` has seen data, filters are random.
    """

    def __init__(self, in_channels: int, *, kernel: int, stride: int, components: int | None = None) -> None:
        self.components = min(components or in_channels * kernel**2, in_channels * kernel**2)
        super().__init__(in_channels, 2 * self.components, kernel, stride=stride)
        self.weight.requires_grad_(False)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    @torch.no_grad()
    def initialise(self, x_BCHW: Tensor, *, epsilon: float = 5e-4) -> None:
        """Set the filters from pictures (a few thousand suffice); `epsilon` keeps noise from being blown up."""
        patches = functional.unfold(x_BCHW.float(), self.kernel_size, stride=self.stride).transpose(1, 2).flatten(0, 1)
        patches = patches[:: max(1, len(patches) // 200_000)]
        centred = patches - patches.mean(0)
        variance, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
        variance, directions = variance.flip(0)[: self.components], directions.flip(1)[:, : self.components]
        filters = (directions / (variance + epsilon).sqrt()).T.reshape(self.components, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))
