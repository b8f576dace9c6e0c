"""Make the picture set that `engram demo` trains on: the first rows of Fashion-MNIST, equally many of each class.

    python benchmarks/make_demo_data.py FOLDER

FOLDER holds the four files of Fashion-MNIST as published at https://github.com/zalandoresearch/fashion-mnist
(train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz).
Writes src/engram/demo/fashion_mnist_small.npz: of every class the first 1,000 training and the first 200
test pictures, in their original order, unchanged. Labels are stored by name. The same input gives the same arrays.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

CLASSES = np.array(
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]
)
TARGET = Path(__file__).parents[1] / "src/engram/demo/fashion_mnist_small.npz"


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes; the fourth byte says how many axes there are."""
    content = gzip.decompress(path.read_bytes())
    num_axes = content[3]
    shape = np.frombuffer(content, ">u4", count=num_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows of the first `count` examples of every class, in the order of the file."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(len(CLASSES))]))


def main(folder: Path) -> None:
    """Read the four files and write the small set."""
    arrays = {}
    for split, prefix, count in (("train", "train", 1000), ("test", "t10k", 200)):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        rows = first_of_each_class(labels, count)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[rows], CLASSES[labels[rows]]
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
