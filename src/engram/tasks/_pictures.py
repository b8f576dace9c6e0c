"""What all tasks on pictures share: the network that fits them and the ways they may be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from engram.core.task import Sample
from engram.data.augment.pictures import Pictures
from engram.models import build
from engram.models.conv_net import sized


def picture_network(size: str, features: Any) -> nn.Module:
    """A convolutional network that gives each picture one logit per label."""
    shape = features.image.shape
    return build.named("conv_net", input_shape=shape, num_classes=features.label.size, **sized(size, shape))


ERASE_FROM, TURN_FROM = 12, 25
"""Passes over the data from which hiding squares pays, and turning what is mirrored (LOG.md, 2026-11-22)."""


def picture_augmentations(features: Any, *, passes: float) -> dict[str, Pictures]:
    """Ways to change pictures and keep their labels, by name; a short trial says which suits the data.

    Photos may be mirrored. Written and drawn signs may not, but they lean this way and that and vary in size.
    """
    height, width = features.image.shape[1:]
    photos = features.image.store_size is not None  # large pictures, whose subject stands anywhere at any size
    plain = Pictures(
        size=(height, width),
        shift=0 if photos else max(1, round(min(height, width) / 14)),
        crop=0.35 if photos else 1.0,
        erase=0.2 if passes >= ERASE_FROM else 0.0,
    )
    turned = replace(plain, rotate=10.0, zoom=0.1)
    return {"mirrored": replace(turned if passes >= TURN_FROM else plain, mirror=True), "turned": turned}


def picture_sample(*, multilabel: bool) -> Sample:
    """Made pictures of bars and squares on noise: any working network tells them apart within seconds."""
    random = np.random.default_rng(0)
    shapes = {"across": np.s_[7:9, 2:14], "down": np.s_[2:14, 7:9], "square": np.s_[5:11, 5:11]}
    pictures = random.integers(0, 90, (300, 16, 16), dtype=np.uint8)
    labels: list[Any] = []
    for picture in pictures:
        chosen = (
            [name for name in shapes if random.random() < 0.5] if multilabel else [str(random.choice(list(shapes)))]
        )
        for name in chosen:
            picture[shapes[name]] = 200
        labels.append(chosen if multilabel else chosen[0])
    return Sample(data=(pictures, labels), score=0.9, options={"steps": 40})
