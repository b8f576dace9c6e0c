"""Measure, before planning, what a network costs on this machine."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engram.core.task import Task
from engram.data.examples import Examples
from engram.optim.build import optimizers
from engram.train import precision
from engram.train.plan import Plan
from engram.train.trainer import place, to_device


@dataclass(frozen=True)
class Cost:
    """Seconds that one training step, and one example's answer, take."""

    step: float
    answer: float


def measure(task: Task, model: nn.Module, examples: Examples, plan: Plan, *, augmentation: object = None) -> Cost:
    """Time training steps and answers on a copy of the network; it and all random states stay as they were."""
    copied = place(copy.deepcopy(model), plan)
    device = torch.device(plan.device)
    rows = np.resize(examples.splits["train"], plan.micro_batch)
    made = optimizers(copied, plan.optimizer)
    with torch.random.fork_rng(devices=[]):
        step = _best(lambda: _train(task, copied, examples, rows, plan, made, augmentation), device)
        copied.eval()
        answer = _best(lambda: _answer(task, copied, examples, rows, plan), device)
    return Cost(step=step * plan.batch_size / plan.micro_batch, answer=answer / len(rows))


def _train(task, model, examples, rows, plan, made, augmentation) -> None:  # type: ignore[no-untyped-def]
    batch = to_device(examples.batch(rows, augmentation=augmentation), torch.device(plan.device))
    with precision.autocast(plan.precision, torch.device(plan.device)):
        step = task.step(model, batch)
    (step.loss_sum / len(rows)).backward()
    for optimizer in made:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def _answer(task, model, examples, rows, plan) -> None:  # type: ignore[no-untyped-def]
    batch = to_device(examples.batch(rows), torch.device(plan.device))
    with precision.autocast(plan.precision, torch.device(plan.device)):
        task.step(model, batch)


def _best(call, device: torch.device, *, times: int = 3) -> float:  # type: ignore[no-untyped-def]
    """The shortest of some runs, after one that warms up."""
    best = float("inf")
    for position in range(times):
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if position > 0:
            best = min(best, time.perf_counter() - began)
    return best
