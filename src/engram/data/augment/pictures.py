"""Random views of pictures: mirrored, shifted, turned, scaled, cropped, partly erased.

A view is an affine map (2, 3) from output coordinates in [-1, 1]² to those of the answer view, so that
pictures, masks and boxes can be moved together. Everything is computed for whole batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.data.order import uniform

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pictures:
    """How far a picture may be changed and still be the same thing.

    size: (H, W) the network sees. mirror: every picture left and right in turn. shift: pixels, up to.
    rotate: degrees, up to. zoom: share of the side by which it may shrink or grow, up to.
    crop: smallest share of the area that a random resized crop keeps (1: no cropping).
    erase: side of a square that is hidden, as a share of the picture's (0: none).
    """

    size: tuple[int, int]
    mirror: bool = False
    shift: int = 0
    rotate: float = 0.0
    zoom: float = 0.0
    crop: float = 1.0
    erase: float = 0.0

    @property
    def variety(self) -> int:
        """About how many rows each row stands for: crops show ever other parts, shifts nearly the same again.

        Photos learned from crops go on improving for 80 passes and more over 10,000 of them (the leaderboard of
        github.com/fastai/imagenette); shifted pictures do not (LOG.md, 2026-11-25).
        """
        return 8 if self.crop < 1 else 1

    def views(self, gathered: dict[str, Any], *, rows: np.ndarray, seed: int, epoch: np.ndarray | int) -> Tensor:
        """Return the views (B, 2, 3) of some rows in their epochs."""
        import torch

        height, width = self.size
        draw = _Draw(rows, epoch, seed)
        turn = np.deg2rad(self.rotate) * draw.between(-1, 1)
        scale_x = scale_y = 1 + self.zoom * draw.between(-1, 1)
        move_x, move_y = self._shift(draw, width), self._shift(draw, height)
        if self.crop < 1:
            scale_x, scale_y, move_x, move_y = self._crop(draw, gathered)
        flip = np.where(draw.alternate(), -1.0, 1.0) if self.mirror else np.ones(len(rows))
        view = np.empty((len(rows), 2, 3), dtype=np.float32)
        view[:, 0, 0], view[:, 0, 1] = flip * scale_x * np.cos(turn), -scale_x * np.sin(turn) * height / width
        view[:, 1, 0], view[:, 1, 1] = flip * scale_y * np.sin(turn) * width / height, scale_y * np.cos(turn)
        view[:, 0, 2], view[:, 1, 2] = move_x, move_y
        return torch.from_numpy(view)

    def change(
        self, encoded: dict[str, Any], *, rows: np.ndarray, seed: int, epoch: np.ndarray | int
    ) -> dict[str, Any]:
        """Hide a square of each picture (any role of four axes), filled with the mean, which encodes to 0."""
        if not self.erase:
            return encoded
        import torch

        height, width = self.size
        draw = _Draw(rows, epoch, seed, stream=100)
        ys, xs = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
        side_y, side_x = round(self.erase * height), round(self.erase * width)
        top = torch.from_numpy(np.floor(draw.between(0, 1) * (height - side_y + 1)))[:, None, None]
        left = torch.from_numpy(np.floor(draw.between(0, 1) * (width - side_x + 1)))[:, None, None]
        hidden = (ys >= top) & (ys < top + side_y) & (xs >= left) & (xs < left + side_x)
        keep = (~hidden)[:, None].float()
        return {role: value * keep if getattr(value, "ndim", 0) == 4 else value for role, value in encoded.items()}

    def _shift(self, draw: _Draw, side: int) -> np.ndarray:
        """Whole pixels, so that a picture that is only shifted stays sharp; in units of half the side."""
        return np.floor(draw.between(0, 1) * (2 * self.shift + 1) - self.shift) * 2 / side

    def _crop(self, draw: _Draw, gathered: dict[str, Any]) -> tuple[np.ndarray, ...]:
        """A random resized crop: its half sides and centre in answer-view coordinates, within the picture."""
        height, width = self.size
        original = np.asarray(gathered["image"]["size"], dtype=np.float64)
        aspect = (original[:, 1] / original[:, 0]) / (width / height)
        extent_x, extent_y = np.maximum(1, aspect), np.maximum(1, 1 / aspect)
        area = draw.between(self.crop, 1)
        ratio = np.exp(draw.between(np.log(3 / 4), np.log(4 / 3)))
        half_x, half_y = np.minimum(np.sqrt(area * ratio), extent_x), np.minimum(np.sqrt(area / ratio), extent_y)
        return half_x, half_y, (extent_x - half_x) * draw.between(-1, 1), (extent_y - half_y) * draw.between(-1, 1)


class _Draw:
    """Random numbers for some rows; each call is a stream of its own."""

    def __init__(self, rows: np.ndarray, epoch: np.ndarray | int, seed: int, stream: int = 0) -> None:
        self.rows, self.epoch, self.seed, self.stream = rows, epoch, seed, stream

    def between(self, low: float, high: float) -> np.ndarray:
        self.stream += 1
        return low + (high - low) * uniform(self.rows, self.epoch, seed=self.seed, stream=self.stream)

    def alternate(self) -> np.ndarray:
        """True and False in turn from epoch to epoch, beginning at random: both sides are seen equally often."""
        first = uniform(self.rows, 0, seed=self.seed, stream=99) < 0.5
        return first ^ (np.asarray(self.epoch) % 2 == 1)
