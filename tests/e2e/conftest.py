"""Data for the tests of whole trainings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny pictures of three classes, told apart by how much of them is bright."""
    folder, luck = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(90):
        picture = luck.integers(0, 90, (12, 12, 3), dtype=np.uint8)
        picture[: 2 + 3 * (number % 3)] = 200
        (folder / f"class {number % 3}").mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"class {number % 3}" / f"{number}.png")
    return folder
