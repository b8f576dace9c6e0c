"""Arrays as pictures inside the page: data URIs, nothing beside the file.

Shapes: H × W pixels, C colour channels, K maps of h × w.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

PHOTO = 96
"""Colour pictures with a longer side are written as JPEG, a fifth of the size of PNG."""

_STOPS = np.array([[16, 22, 48], [24, 72, 110], [38, 132, 138], [140, 190, 130], [250, 238, 180]], np.float32)


def uri(picture_HWC: np.ndarray, *, longest: int = 128) -> str:
    """Return a uint8 picture (H, W, C), C of 1, 3 or 4, as a data URI of at most `longest` pixels a side."""
    squeezed = picture_HWC[:, :, 0] if picture_HWC.shape[2] == 1 else picture_HWC
    picture = Image.fromarray(np.ascontiguousarray(squeezed))
    if max(picture.size) > longest:
        picture.thumbnail((longest, longest), Image.Resampling.BOX, reducing_gap=2)
    content = io.BytesIO()
    photo = picture.mode == "RGB" and max(picture.size) > PHOTO
    if photo:
        picture.save(content, "JPEG", quality=85)
    else:
        picture.save(content, "PNG", compress_level=6)
    kind = "jpeg" if photo else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def as_png(picture_HWC: np.ndarray) -> bytes:
    """Return a uint8 picture (H, W, C) as the content of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture_HWC)).save(content, "PNG")
    return content.getvalue()


def coloured(values_hw: np.ndarray, *, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Return numbers (h, w) as colours, uint8 (h, w, 3): dark is low, pale is high."""
    low = float(values_hw.min()) if low is None else low
    high = float(values_hw.max()) if high is None else high
    share = np.clip((values_hw - low) / max(high - low, 1e-12), 0, 1) * (len(_STOPS) - 1)
    below = np.minimum(share.astype(int), len(_STOPS) - 2)
    part = (share - below)[..., None]
    return np.rint(_STOPS[below] * (1 - part) + _STOPS[below + 1] * part).astype(np.uint8)


def heat(picture_HWC: np.ndarray, strength_HW: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3), with warm colour laid over it where strength (0 to 1) is high."""
    grey = picture_HWC.astype(np.float32).mean(2, keepdims=True) * 0.55
    share = np.clip((strength_HW - 0.12) / 0.7, 0, 1)[..., None]
    return np.rint(grey * (1 - share) + np.array([255, 122, 38]) * share).clip(0, 255).astype(np.uint8)


def signed(picture_HWC: np.ndarray, influence_HW: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3), under teal where influence is above zero and orange where it is below.

    influence: from -1 to 1; the stronger, the less of the grey picture is seen.
    """
    grey = picture_HWC[..., :3].astype(np.float32).mean(2, keepdims=True) * 0.6 + 30
    share = np.abs(influence_HW).clip(0, 1)[..., None] * 0.75
    tone = np.where(influence_HW[..., None] > 0, np.array([48, 190, 215]), np.array([255, 122, 38]))
    return np.rint(grey * (1 - share) + tone * share).clip(0, 255).astype(np.uint8)


def strip(pieces: Sequence[np.ndarray], *, gap: int = 1) -> np.ndarray:
    """Return pictures of one size, uint8 (H, W, C), side by side on a transparent ground: (H, sum of W, 4)."""
    height, width = pieces[0].shape[:2]
    joined = np.zeros((height, len(pieces) * (width + gap) - gap, 4), np.uint8)
    for number, piece in enumerate(pieces):
        start = number * (width + gap)
        joined[:, start : start + width] = opaque(piece)
    return joined


def opaque(picture_HWC: np.ndarray) -> np.ndarray:
    """Return a picture with 1, 3 or 4 channels with 4: colour and opacity."""
    if picture_HWC.shape[2] == 4:
        return picture_HWC
    colour = np.repeat(picture_HWC, 3, axis=2) if picture_HWC.shape[2] == 1 else picture_HWC
    return np.concatenate([colour, np.full((*colour.shape[:2], 1), 255, np.uint8)], axis=2)


def enlarged(picture_HWC: np.ndarray, *, least: int) -> np.ndarray:
    """Return a picture with every pixel repeated until its shorter side has at least `least`."""
    times = max(1, -(-least // max(1, min(picture_HWC.shape[:2]))))
    return picture_HWC.repeat(times, 0).repeat(times, 1)


def shrunk(picture_HWC: np.ndarray, *, most: int) -> np.ndarray:
    """Return a picture whose longer side is at most `most` pixels."""
    if max(picture_HWC.shape[:2]) <= most:
        return picture_HWC
    squeezed = picture_HWC[:, :, 0] if picture_HWC.shape[2] == 1 else picture_HWC
    picture = Image.fromarray(squeezed)
    scale = most / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = np.asarray(picture.resize(size, Image.Resampling.BOX))
    return small[:, :, None] if small.ndim == 2 else small
