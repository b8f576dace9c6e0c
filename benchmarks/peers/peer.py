"""What all peers do alike: read the data, change pictures, stop the clock, print what was measured.

Each peer is a script that runs in an environment of its own, where only NumPy is sure to be there:

    python with_keras.py DATA.npz quality --setting best --epochs 10
    python with_keras.py DATA.npz throughput --setting best

`quality` prints one JSON object an epoch: {"epoch", "seconds", "accuracy"}; seconds are of training alone, from the
start of `fit`, and stand still while the test rows are scored. `throughput` prints {"examples_per_second"}.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BATCH = 500
"""Of the throughput measurement."""

ROUNDS, STEPS = 4, 12
"""Throughput: rounds of so many steps each; the first warms up, the fastest of the others counts."""


@dataclass(frozen=True)
class Data:
    """Pictures are bytes (rows, height, width), labels are numbers from 0."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def arguments(*settings: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="an .npz file as `engram train` takes it")
    parser.add_argument("measure", choices=["quality", "throughput"])
    parser.add_argument("--setting", choices=settings, required=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-mirror", dest="mirror", action="store_false", help="for signs, which may not be mirrored")
    return parser.parse_args()


def read(path: str) -> Data:
    with np.load(path) as arrays:
        names = ("train_images", "train_labels", "test_images", "test_labels")
        x_train, y_train, x_test, y_test = (arrays[name] for name in names)
    return Data(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Bytes to numbers from -1 to 1."""
    return pictures.astype(np.float32) / 127.5 - 1


def batch(
    data: Data, rows: np.ndarray, random: np.random.Generator, *, mirror: bool, shift: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures shifted by up to `shift` pixels, every other one mirrored, and scaled; and their labels."""
    pictures = data.x_train[rows]
    count, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (shift, shift), (shift, shift)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (1, 2))
    down, right = random.integers(0, 2 * shift + 1, (2, count))
    shifted = windows[np.arange(count), down, right]
    mirrored = mirror & (random.random(count) < 0.5)
    return scaled(np.where(mirrored[:, None, None], shifted[:, :, ::-1], shifted)), data.y_train[rows]


class Watch:
    """Counts seconds of training from when it is made."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def score(self, epoch: int, accuracy: Callable[[], float]) -> None:
        """Print how good the network is after an epoch; the time that this takes does not count."""
        paused = time.perf_counter()
        line = {"epoch": epoch, "seconds": round(paused - self.began, 2), "accuracy": round(accuracy(), 4)}
        print(json.dumps(line), flush=True)
        self.began += time.perf_counter() - paused


def print_throughput(seconds: list[float]) -> None:
    """Print examples a second in the fastest round but the first."""
    print(json.dumps({"examples_per_second": round(BATCH * STEPS / min(seconds[1:]))}), flush=True)
