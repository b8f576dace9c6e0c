"""Make the kept run of a release: python tests/kept/make.py, with the release installed.

Later releases must open it and answer as it did. It is trained as any run is, by a network that is small enough to be
kept, and what nobody reads again (checkpoints, report) is taken away.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

import engram
from engram.tasks import _pictures
from engram.tasks.image_classification import ImageClassification

HERE = Path(__file__).parent
SMALLEST = {"widths": (8, 16), "depth": 1}


def main() -> None:
    out = HERE / engram.__version__
    pictures, labels = ImageClassification.sample().data
    _pictures.sized = lambda size, shape: SMALLEST
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "shapes.npz", x=pictures, y=labels)
        engram.train(Path(folder) / "shapes.npz", out=out, steps=120, device="cpu", size="small")
    for name in ("checkpoints", "tensorboard"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "report.html").unlink()
    print(f"{out}: {sum(path.stat().st_size for path in out.rglob('*') if path.is_file()):,} bytes")


if __name__ == "__main__":
    main()
