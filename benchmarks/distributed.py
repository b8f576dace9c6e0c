"""Throughput of two processes of one thread each against one process of one thread.

    python benchmarks/distributed.py [--sizes small medium] [--batch 500] [--steps 40] [--processes 1 2]

Trains the convolutional network on random pictures through the trainer, started by torchrun as a user would, and
takes the median step. The target is 1.8 times with two processes. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from throughput import examples

from engram.core import machine
from engram.data.augment.pictures import Pictures
from engram.tasks.image_classification import ImageClassification
from engram.train import distributed, precision
from engram.train.callbacks.callback import Callback
from engram.train.plan import Plan
from engram.train.trainer import Trainer

SHAPE = (1, 28, 28)
SETTLED = 5


class Clock(Callback):
    """Takes the time after each step."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        self.moments.append(time.perf_counter())

    @property
    def seconds_per_step(self) -> float:
        settled = self.moments[SETTLED:]
        return statistics.median(b - a for a, b in itertools.pairwise(settled))


def work(size: str, batch: int, steps: int) -> None:
    """Be one of the processes; the first prints examples a second."""
    torch.set_num_threads(1)
    team, task, data, clock = distributed.team(), ImageClassification(), examples(SHAPE, 4 * batch), Clock()
    plan = Plan(batch_size=batch, micro_batch=math.ceil(batch / team.size), steps=steps)
    network = task.model(size, SimpleNamespace(**data.features))
    plan.override({**network.recipe, "precision": precision.choose_precision(torch.device("cpu"))[0]})
    way = Pictures(size=SHAPE[1:], mirror=True, shift=2)
    trainer = Trainer(task, network, data, plan, augmentation=way, callbacks=[clock], team=team)
    with machine.keeping_memory():
        trainer.fit()
    if team.leads:
        print(batch / clock.seconds_per_step)


def measured(processes: int, size: str, batch: int, steps: int) -> float:
    """Examples a second of so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), __file__]
    command += ["--work", "--sizes", size, "--batch", str(batch), "--steps", str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return float(
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()[-1]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["small", "medium"])
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        if arguments.work:
            work(size, arguments.batch, arguments.steps)
            continue
        found = [measured(number, size, arguments.batch, arguments.steps) for number in arguments.processes]
        for number, rate in zip(arguments.processes, found, strict=True):
            print(f"{size}, {number} processes: {rate:,.0f} examples/s, {rate / found[0]:.2f} times the first")


if __name__ == "__main__":
    main()
