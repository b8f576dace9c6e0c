"""What all tasks on pictures share: the network that fits them and the ways they may be changed."""

from __future__ import annotations

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


def picture_augmentations(features: Any) -> dict[str, Pictures]:
    """Ways to change pictures and keep their labels, by name; a short trial says which suits the data."""
    height, width = features.image.shape[1:]
    shift = max(1, round(min(height, width) / 14))
    plain = {"size": (height, width), "shift": shift}
    return {
        "mirrored": Pictures(mirror=True, **plain),
        "not mirrored": Pictures(**plain),
    }


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
