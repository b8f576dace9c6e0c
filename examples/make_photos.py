"""Unpack some of the bundled pictures into a folder of class folders, to have something to try commands on.

    python examples/make_photos.py photos

Writes photos/coat, photos/pullover and photos/shirt, which are hard to tell apart, with 600 PNG files each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from engram import demo

CLASSES = ("coat", "pullover", "shirt")


def main(folder: Path) -> None:
    """Write the pictures."""
    with np.load(demo.path()) as arrays:
        images, labels = arrays["train_images"], arrays["train_labels"]
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(np.flatnonzero(labels == name)[:600]):
            Image.fromarray(images[row]).save(folder / name / f"{number:03}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "photos"))
