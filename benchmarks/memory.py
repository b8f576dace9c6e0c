"""Training from prepared data four times as large as memory: throughput and memory, beside the same with enough of it.

    python benchmarks/memory.py FOLDER [--megabytes 1200] [--steps 300]

FOLDER is on the disk to be measured and takes four times the limit. The limit is that of a control group, which takes
root on Linux. Made pictures, since their content costs nothing here. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from engram.api import planning, reading
from engram.core import machine
from engram.data.examples import Examples
from engram.data.stored import Stored
from engram.features.category import Category
from engram.features.image import Image
from engram.models import build
from engram.tasks.image_classification import ImageClassification
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

SIDE, CLASSES = 96, 10
WARM_UP = 20
PAGES = "pixels.bin"
RESULTS = Path(__file__).parent / "results" / "memory.csv"


def make(folder: Path, size: int) -> None:
    """Write `size` bytes of pictures."""
    block = np.random.default_rng(0).integers(0, 256, 64 << 20, dtype=np.uint8).tobytes()
    with open(folder / PAGES, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        os.fsync(file.fileno())


class Watch(Callback):
    """Takes the time after each step, and the anonymous memory now and then."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.anonymous: list[int] = []

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        self.moments.append(time.perf_counter())
        if trainer.pace.step % 10 == 0:
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.anonymous.append(int(status["RssAnon"].split()[0]) << 10)


def train(folder: Path, steps: int) -> None:
    """Train a small network on the pictures, as a plan for this machine says; print what it took."""
    pixels = np.memmap(folder / PAGES, dtype=np.uint8, mode="r")
    rows = len(pixels) // (SIDE * SIDE * 3)
    pixels = np.asarray(pixels[: rows * SIDE * SIDE * 3]).reshape(rows, SIDE, SIDE, 3)
    everywhere = np.ones(rows, bool)
    image, label = Image(channels=3, size=(SIDE, SIDE)), Category()
    image.mean, image.std = np.full(3, 0.5, np.float32), np.full(3, 0.3, np.float32)
    label._set({str(number) for number in range(CLASSES)})
    digest = np.zeros((rows, 16), np.uint8)
    stored = {
        "image": Stored({"pixels": pixels}, everywhere, digest),
        "label": Stored({"name": [str(row % CLASSES) for row in range(rows)]}, everywhere, digest),
    }
    examples = Examples({"image": image, "label": label}, stored, {"train": np.arange(rows)})
    task, watch = ImageClassification(), Watch()
    read = reading.Reading(None, task, {}, examples)  # type: ignore[arg-type]  (nothing asks for the table)
    plan = planning.foundation(read, device="cpu", seed=0, recipe="standard")
    plan.steps = steps
    network = build.named("conv_net", input_shape=(3, SIDE, SIDE), num_classes=CLASSES, widths=(24, 48, 96))
    with machine.keeping_memory():
        Trainer(task, network, examples, plan, callbacks=[watch]).fit()
    seconds = watch.moments[-1] - watch.moments[WARM_UP]
    settled = watch.anonymous[len(watch.anonymous) // 4 :]
    found = {
        "rows": rows,
        "window": plan.window,
        "examples_per_second": round(plan.batch_size * (steps - 1 - WARM_UP) / seconds),
        "anonymous_mb_least": round(min(settled) / 1e6),
        "anonymous_mb_most": round(max(settled) / 1e6),
    }
    print(json.dumps(found))


@contextlib.contextmanager
def control_group(limit: int) -> Iterator[Path]:
    """Within the block there is a control group with a limit of memory: the file that takes the processes."""
    root = Path("/sys/fs/cgroup")
    old = (root / "memory").is_dir()
    group = (root / "memory" if old else root) / "engram-benchmark"
    group.mkdir(exist_ok=True)
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(limit))
    yield group / "cgroup.procs"
    group.rmdir()


def measure(folder: Path, steps: int, processes: Path | None) -> dict[str, object]:
    """Train in a process of its own, within a control group if one is given."""

    def join() -> None:
        if processes is not None:
            processes.write_text(str(os.getpid()))

    command = [sys.executable, __file__, str(folder), "--steps", str(steps), "--child"]
    finished = subprocess.run(command, capture_output=True, text=True, preexec_fn=join)
    if finished.returncode:
        raise SystemExit(f"the training failed ({finished.returncode}):\n{finished.stderr[-3000:]}")
    return dict(json.loads(finished.stdout.splitlines()[-1]))


def keep(row: dict[str, object]) -> None:
    """Print a result, and add it to the kept ones."""
    print(json.dumps(row))
    new = not RESULTS.exists()
    with open(RESULTS, "a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=1200, help="the limit of memory")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.manual_seed(0)
    if given.child:
        train(given.folder, given.steps)
        return
    folder, limit = given.folder / "engram-memory", given.megabytes << 20
    folder.mkdir(parents=True)
    try:
        make(folder, 4 * limit)
        enough = measure(folder, given.steps, None)
        os.posix_fadvise(descriptor := os.open(folder / PAGES, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
        with control_group(limit) as processes:
            scarce = measure(folder, given.steps, processes)
    finally:
        shutil.rmtree(folder)
    for memory, found in (("enough", enough), ("a quarter of the data", scarce)):
        row = {"date": time.strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
        keep({**row, "memory": memory, "limit_mb": given.megabytes if found is scarce else "", **found})
    share = scarce["examples_per_second"] / enough["examples_per_second"]  # type: ignore[operator]
    print(f"with memory for a quarter of the data: {share:.0%} of the throughput")


if __name__ == "__main__":
    main()
