"""The picture set that ships with engram, so that the first try needs nothing but the command.

10,000 training and 2,000 test pictures of Fashion-MNIST (28x28, grey; ten kinds of clothing), copyright 2017
Zalando SE, MIT licence: `LICENSE.fashion_mnist.txt`. Made by `benchmarks/make_demo_data.py`.
"""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """Return the file that `engram demo` trains on: an .npz with named labels and its own test split."""
    return Path(__file__).with_name("fashion_mnist_small.npz")
