"""The answer view as matrices is the one that is sampled, at every size, and so is what is said of tracing it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engram.features.image import Image


def fitted(*, size: tuple[int, int], channels: int) -> Image:
    image = Image(channels=channels, size=size)
    image.load_state(
        {"size": list(size)},
        {"mean": np.linspace(0.3, 0.5, channels), "std": np.linspace(0.2, 0.3, channels)},
    )
    return image


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        ((28, 28), (28, 28)),
        ((20, 31), (28, 28)),
        ((41, 64), (28, 28)),
        ((160, 213), (128, 128)),
        ((300, 200), (64, 64)),
        ((700, 500), (32, 48)),
        ((1, 5), (8, 8)),
    ],
)
def test_any_size_is_seen_as_answers_see_it(stored: tuple[int, int], seen: tuple[int, int]) -> None:
    image = fitted(size=seen, channels=3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *stored, 3), dtype=np.uint8)
    gathered = {"pixels": pixels}
    torch.testing.assert_close(image.graph()(image.given(gathered)), image.encode(gathered), rtol=0, atol=1e-4)


def test_pictures_of_the_seen_size_stay_exactly_as_they_are() -> None:
    image = fitted(size=(16, 12), channels=1)
    image.mean, image.std = np.zeros(1, np.float32), np.ones(1, np.float32)
    pixels = np.arange(192, dtype=np.uint8).reshape(1, 16, 12, 1)
    seen = image.graph()(torch.from_numpy(pixels))
    assert torch.equal((seen * 255).round().byte()[0, 0], torch.from_numpy(pixels[0, :, :, 0]))
