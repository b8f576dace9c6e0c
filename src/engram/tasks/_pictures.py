"""What all tasks that give labels to pictures share: input, network, ways to change pictures, floors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from torch import nn

from engram.core.task import Sample, Worth
from engram.data.augment.pictures import Pictures
from engram.features.image import Image
from engram.floors.linear_on_pixels import LinearOnPixels
from engram.floors.majority_class import MajorityClass
from engram.models import build
from engram.models.conv_net import sized
from engram.tasks._labels import LabelTask

FEW_ROWS = 10_000
MOST_PASSES = {"few": 14, "many": 200}
"""Training ends after so many passes over few or many rows: few are learned by heart, and data from elsewhere is then
answered worse (LOG.md, 2026-11-25)."""

CHANGED_MORE_FROM = 60
"""Passes over the data from which pictures are turned, zoomed and partly hidden too (LOG.md, 2026-11-22)."""


class PictureTask(LabelTask):
    """Labels for pictures: which network, and how pictures may be changed."""

    inputs: ClassVar = {"image": Image}
    floors: ClassVar = (MajorityClass(), LinearOnPixels())
    sizes: ClassVar = {  # LOG.md, 2026-11-22
        "medium": Worth(rows=10_000, passes=6, examples=320_000),
        "large": Worth(rows=50_000, passes=40, examples=4_000_000),
    }

    def model(self, size: str, features: Any) -> nn.Module:
        """A convolutional network that gives each picture one logit per label."""
        shape = features.image.shape
        return build.named("conv_net", input_shape=shape, num_classes=features.label.size, **sized(size, shape))

    def most_passes(self, rows: int) -> float:
        """Fewer over few rows."""
        return MOST_PASSES["few" if rows < FEW_ROWS else "many"]

    def augmentations(self, features: Any, *, passes: float) -> dict[str, Pictures]:
        """Shifted, and mirrored or turned: a short trial says which suits the data.

        Photos may be mirrored. Written and drawn signs may not, but they lean this way and that and vary in size.
        """
        height, width = features.image.shape[1:]
        photos = features.image.store_size is not None  # large pictures, whose subject stands anywhere at any size
        long = passes >= CHANGED_MORE_FROM
        plain = Pictures(
            size=(height, width),
            shift=0 if photos else max(1, round(min(height, width) / 14)),
            crop=0.35 if photos else 1.0,
            erase=0.2 if long else 0.0,
        )
        turned = replace(plain, rotate=10.0, zoom=0.1)
        return {"mirrored": replace(turned if long else plain, mirror=True), "turned": turned}


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
