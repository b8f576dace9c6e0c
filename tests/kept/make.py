"""Make the kept run of a release: python tests/kept/make.py, with the release installed.

Later releases must open it and answer as it did. It is trained as any run is, with a network that is small enough to
be kept; what opening does not need, and what names a machine, is taken away.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import engram
from engram.tasks import _pictures
from engram.tasks.image_classification import ImageClassification

HERE = Path(__file__).parent
SMALLEST = {"widths": (8, 16), "depth": 1}


def main() -> None:
    out = HERE / engram.__version__
    _pictures.sized = lambda size, shape: SMALLEST
    engram.train(ImageClassification.sample().data, out=out, steps=120, device="cpu", size="small")
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    for name in ("report.html", "README.md", "metrics.jsonl"):
        (out / name).unlink()
    print(f"{out}: {sum(path.stat().st_size for path in out.rglob('*') if path.is_file()):,} bytes")


if __name__ == "__main__":
    main()
