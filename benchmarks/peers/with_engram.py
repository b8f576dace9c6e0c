"""engram's engine on a user's own network, for the throughput measurement. What it reaches in quality is measured
from outside, as a whole command (`compare_peers.py`).

The settings are engram's own for this machine, but for the optimizer, which is AdamW as with all peers.
"""

from __future__ import annotations

import time

import peer
import torch
from plain_torch import small_network

from engram.api import reading
from engram.core import machine
from engram.train import precision
from engram.train.callbacks.callback import Callback
from engram.train.plan import Plan
from engram.train.trainer import Trainer


class Moments(Callback):
    """Takes the time after each round of steps."""

    def begin(self, trainer: Trainer) -> None:
        self.moments = [time.perf_counter()]

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        if trainer.pace.step % peer.STEPS == 0:
            self.moments.append(time.perf_counter())


def throughput(path: str) -> None:
    read = reading.read(path)
    chosen, _ = precision.choose_precision(torch.device("cpu"))
    plan = Plan(batch_size=peer.BATCH, micro_batch=peer.BATCH, steps=peer.ROUNDS * peer.STEPS, precision=chosen)
    plan.override({"optimizer.muon_learning_rate": 0})
    rounds = Moments()
    with machine.keeping_memory():
        Trainer(read.task, small_network(), read.examples, plan, callbacks=[rounds]).fit()
    peer.print_throughput([b - a for a, b in zip(rounds.moments, rounds.moments[1:], strict=False)])


if __name__ == "__main__":
    throughput(peer.arguments("engine").data)
