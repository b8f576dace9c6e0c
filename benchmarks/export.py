"""ONNX against PyTorch: how far answers differ, and how long one takes.

    python benchmarks/export.py [RUN ...] [--tasks NAME ...] [--sizes small medium]

Without runs, each task's own sample is learned for a few steps at each size. Answers are compared on up to 1,000
rows, as `engram export` does; the time is the median of single answers, of engram's own path and of onnxruntime in
turn, from decoded pixels or ids to probabilities and unfamiliarity. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import onnxruntime
import torch

import engram
from engram.api.exporting import rows_of
from engram.core.registry import find, names
from engram.export import proof

ROUNDS = 300
TARGETS = "targets: difference 1e-4 of 1 or of the row's largest number, the same answers, latency 1.2 times PyTorch's"


def samples(tasks: list[str], sizes: list[str], folder: Path) -> Iterator[Path]:
    """Train tasks on their samples, at every size."""
    for name in tasks:
        task = find("engram.tasks", name, base="task")
        for size in sizes if task.inputs else []:
            run = folder / f"{name}-{size}"
            engram.train(task.sample().data, task=name, out=run, device="cpu", steps=5, size=size)
            yield run


def in_turn(*calls: Callable[[], object]) -> list[float]:
    """Median milliseconds of calls that take turns, so that the machine's moods are the same for all."""
    seconds: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS + 20):
        for call, own in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            if number >= 20:
                own.append(time.perf_counter() - began)
    return [1000 * statistics.median(own) for own in seconds]


def latency(run: Path, path: Path) -> list[float]:
    """Milliseconds for one answer in PyTorch and in onnxruntime."""
    predictor = engram.load(run)
    rows = rows_of(predictor)
    one = proof.together(predictor, rows)[0][:1]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    arrays = {role: value.numpy() for role, value in proof.given(predictor, rows, one).items()}
    return in_turn(lambda: proof.reference(predictor, rows, one), lambda: session.run(None, arrays))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--tasks", nargs="+", default=names("engram.tasks", base="task"))
    parser.add_argument("--sizes", nargs="+", default=["small", "medium"])
    given = parser.parse_args()
    print(f"{'run':32} {'rows':>5} {'logits':>9} {'unfamiliar':>10} {'others':>6} {'PyTorch':>9} {'ONNX':>9} ratio")
    with tempfile.TemporaryDirectory() as folder:
        for run in given.runs or samples(given.tasks, given.sizes, Path(folder)):
            written = engram.export(run, to="onnx", out=Path(folder) / f"{run.name}.onnx")
            assert written.proof is not None
            plain, onnx = latency(run, written.path)
            off = list(written.proof.difference.values())
            print(
                f"{run.name:32} {written.proof.rows:5} {off[0]:9.1e} {off[-1]:10.1e} {written.proof.other_answers:6} "
                f"{plain:6.2f} ms {onnx:6.2f} ms {onnx / plain:5.2f}",
                flush=True,
            )
    print(TARGETS)


if __name__ == "__main__":
    main()
