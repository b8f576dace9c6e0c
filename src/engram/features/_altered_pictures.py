"""Pictures as they come from worse cameras and channels, and things that are no pictures of anything.

Mild by intent: a person would hardly mind (compare Hendrycks and Dietterich 2019, "Benchmarking neural network
robustness to common corruptions", arXiv:1903.12261).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from engram.features import _pixels
from engram.features.feature import Alteration

NOISE = 20.0
"""Deviation of noise, in grey levels."""

JPEG_QUALITY = 30
DARKER, BRIGHTER, FAINTER = 0.6, 1.4, 0.5


def _open(value: Any) -> Image.Image:
    picture = _pixels.open_picture(value)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _noisy(value: Any, random: np.random.Generator) -> np.ndarray:
    pixels = np.asarray(_open(value), np.float32)
    return np.rint(pixels + NOISE * random.standard_normal(pixels.shape)).clip(0, 255).astype(np.uint8)


def _blurred(value: Any, random: np.random.Generator) -> np.ndarray:
    picture = _open(value)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(max(0.6, min(picture.size) / 80))))


def _compressed(value: Any, random: np.random.Generator) -> np.ndarray:
    content = io.BytesIO()
    _open(value).save(content, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(content))


def _brightness(times: float) -> Alteration:
    return lambda value, random: np.asarray(ImageEnhance.Brightness(_open(value)).enhance(times))


def _fainter(value: Any, random: np.random.Generator) -> np.ndarray:
    return np.asarray(ImageEnhance.Contrast(_open(value)).enhance(FAINTER))


ALTERATIONS: dict[str, Alteration] = {
    "noise": _noisy,
    "blur": _blurred,
    "darker": _brightness(DARKER),
    "brighter": _brightness(BRIGHTER),
    "less contrast": _fainter,
    "strong compression (JPEG)": _compressed,
}


def strange(values: Sequence[Any], random: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Noise, and the pixels of pictures in another order: colours as usual, and no shape."""
    pixels = [np.asarray(_open(value)) for value in values]
    return {
        "noise": [random.integers(0, 256, one.shape).astype(np.uint8) for one in pixels],
        "shuffled pixels": [_shuffled(one, random) for one in pixels],
    }


def _shuffled(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    flat = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    return flat[random.permutation(len(flat))].reshape(pixels.shape)
