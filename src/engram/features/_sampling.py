"""Look at pictures of any size through affine views: one bilinear sampling of a padded canvas.

Shapes: B examples, C channels, H x W what the network sees, h x w a stored picture, Y x X the canvas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

CANVAS_BYTES = 128 << 20
"""Pictures are sampled in groups whose float canvas stays below this, so that memory stays flat."""

MAX_OVERSAMPLING = 8


def look(pixels: Sequence[np.ndarray] | np.ndarray, views_B23: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Return float pictures (B, C, H, W), values 0..255, each seen through its view (None: the answer view).

    pixels: uint8 (h, w, C) each. What an example becomes never depends on the others in its batch.
    """
    shapes_B2 = torch.tensor([p.shape[:2] for p in pixels], dtype=torch.float32)
    maps_B23 = _to_pixels(shapes_B2, views_B23, size)
    if isinstance(pixels, np.ndarray) and (moved_BCHW := _moved(pixels, maps_B23, size)) is not None:
        return moved_BCHW
    oversampling_B = _oversampling(maps_B23, size)
    out_BCHW = torch.empty(len(pixels), pixels[0].shape[2], *size)
    for times in oversampling_B.unique().tolist():
        for rows in _groups(pixels, torch.nonzero(oversampling_B == times)[:, 0].numpy()):
            index = torch.from_numpy(rows)
            canvas = _canvas([pixels[row] for row in rows])
            out_BCHW[index] = _sample(canvas, maps_B23[index], shapes_B2[index], size, int(times))
    return out_BCHW


def _to_pixels(shapes_B2: Tensor, views_B23: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Maps (B, 2, 3) from output coordinates (x, y) in [-1, 1]^2 to pixels (x, y) of the stored picture."""
    height, width = shapes_B2.unbind(1)
    scale = torch.minimum(height / size[0], width / size[1])  # stored pixels per output pixel: cover, do not pad
    half_B2 = torch.stack([scale * size[1] / 2, scale * size[0] / 2], 1)
    centre_B2 = torch.stack([width / 2, height / 2], 1)
    if views_B23 is None:
        return torch.cat([torch.diag_embed(half_B2), centre_B2[:, :, None]], 2)
    maps_B23 = views_B23.float() * half_B2[:, :, None]
    maps_B23[:, :, 2] += centre_B2
    return maps_B23


def _moved(pixels_BhwC: np.ndarray, maps_B23: Tensor, size: tuple[int, int]) -> Tensor | None:
    """Take pixels as they are where all pictures are only mirrored and moved by whole pixels, else return None.

    What sampling would give, in a tenth of its time.
    """
    half_2 = torch.tensor([size[1], size[0]]) / 2
    along_B22, offset_B2 = maps_B23[:, :, :2], maps_B23[:, :, 2] - half_2
    sharp = torch.equal(along_B22.abs(), torch.diag(half_2).expand_as(along_B22))
    if not sharp or (offset_B2 - offset_B2.round()).abs().max() > 1e-3:
        return None
    x_BW, y_BH = (
        _places(along_B22[:, axis, axis], offset_B2[:, axis], seen=size[1 - axis], stored=pixels_BhwC.shape[2 - axis])
        for axis in (0, 1)
    )
    picture_B11 = torch.arange(len(pixels_BhwC))[:, None, None]
    seen_BHWC = torch.from_numpy(np.ascontiguousarray(pixels_BhwC))[picture_B11, y_BH[:, :, None], x_BW[:, None, :]]
    return seen_BHWC.permute(0, 3, 1, 2).float()


def _places(along_B: Tensor, offset_B: Tensor, *, seen: int, stored: int) -> Tensor:
    """Which stored pixel is seen where along one side (B, seen); beyond the edge the edge goes on."""
    place = torch.arange(seen)
    turned = torch.where(along_B[:, None] < 0, place.flip(0), place)
    return (turned + offset_B[:, None].round().long()).clamp(0, stored - 1)


def _oversampling(maps_B23: Tensor, size: tuple[int, int]) -> Tensor:
    """How many samples a side to average for one output pixel, so that shrinking does not alias."""
    spacing = torch.tensor([2 / size[1], 2 / size[0]])
    step_B = (maps_B23[:, :, :2] * spacing).square().sum(1).sqrt().amax(1)  # stored pixels from one sample to the next
    times_B = (step_B - 0.25).ceil().clamp(1, MAX_OVERSAMPLING)
    return torch.where(step_B < 1.5, torch.ones_like(times_B), times_B)


def _groups(pixels: Sequence[np.ndarray] | np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    sides = np.array([pixels[row].shape for row in rows])
    number = max(CANVAS_BYTES // (4 * int(sides.max(0).prod())), 1)
    for start in range(0, len(rows), number):
        yield rows[start : start + number]


def _canvas(pictures: list[np.ndarray]) -> Tensor:
    """Stack pictures as float (B, C, Y, X), smaller ones in the upper left corner."""
    first = pictures[0].shape
    if all(p.shape == first for p in pictures):
        stacked = np.stack(pictures)
    else:
        height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
        stacked = np.zeros((len(pictures), height, width, first[2]), np.uint8)
        for number, picture in enumerate(pictures):
            stacked[number, : picture.shape[0], : picture.shape[1]] = picture
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().float()  # moved as bytes: a third of the time


def _sample(canvas_BCYX: Tensor, maps_B23: Tensor, shapes_B2: Tensor, size: tuple[int, int], times: int) -> Tensor:
    """Sample each picture at the pixels its map names; beyond its edge the edge goes on."""
    canvas_2 = torch.tensor([canvas_BCYX.shape[3], canvas_BCYX.shape[2]], dtype=torch.float32)
    theta_B23 = maps_B23 * (2 / canvas_2)[:, None]
    theta_B23[:, :, 2] -= 1
    fine = [len(maps_B23), 1, size[0] * times, size[1] * times]
    grid_BHW2 = nn.functional.affine_grid(theta_B23, fine, align_corners=False)
    sides_B2 = shapes_B2.flip(1)  # (width, height), the order of x and y
    if (sides_B2 != canvas_2).any():  # what fills the canvas beyond a smaller picture must not be seen
        last_B2 = (sides_B2 - 0.5) * (2 / canvas_2) - 1
        grid_BHW2 = torch.minimum(grid_BHW2, last_B2[:, None, None])
    seen = nn.functional.grid_sample(
        canvas_BCYX, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=False
    )
    return nn.functional.avg_pool2d(seen, times) if times > 1 else seen
