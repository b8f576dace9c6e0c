"""Decide by trial: train the same small network in several ways for a moment, and see which does better."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.core.task import Task
from engram.data.examples import Examples
from engram.data.order import positions
from engram.optim.build import optimizers, set_learning_rate
from engram.train import precision
from engram.train.plan import Plan
from engram.train.trainer import place, to_device

MOST_ROWS = 2000
"""Validation rows that a trial is judged on."""


def trial(
    task: Task,
    make: Callable[[], nn.Module],
    examples: Examples,
    plan: Plan,
    candidates: Mapping[str, Any],
    *,
    steps: int,
) -> tuple[str, str]:
    """Train `make()` for `steps` steps with each augmentation; return (the name to use, the reason with figures).

    The first candidate is preferred: another must be better by more than two standard errors of the paired
    difference, because augmentation pays late in training and a trial sees only its beginning.
    """
    began = time.monotonic()
    rows = examples.splits["val"][:MOST_ROWS]
    metric = task.metrics[0]
    results = {name: _judge(task, make, examples, plan, way, rows, steps) for name, way in candidates.items()}
    scores = {name: metric.compute(statistics) for name, statistics in results.items()}
    preferred, *others = candidates
    chosen = preferred
    for name in others:
        gain = (scores[name] - scores[preferred]) * (1 if metric.higher_is_better else -1)
        if gain > 2 * _paired_error(metric, results[preferred], results[name]):
            chosen = name
    figures = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    seconds = time.monotonic() - began
    return chosen, f"{metric.name} in a trial of {steps} steps each ({seconds:.0f} s): {figures}"


def _judge(
    task: Task, make: Callable[[], nn.Module], examples: Examples, plan: Plan, way: Any, rows: np.ndarray, steps: int
) -> dict[str, np.ndarray]:
    """Train for a moment, and return the first metric's statistics on some validation rows."""
    torch.manual_seed(plan.seed)
    model = place(make(), plan)
    made = optimizers(model, plan.optimizer)
    device, train_rows = torch.device(plan.device), examples.splits["train"]
    for number in range(steps):
        set_learning_rate(made, 1 - number / steps)
        chosen, epochs = positions(number, batch_size=plan.batch_size, count=len(train_rows), seed=plan.seed)
        batch = examples.batch(train_rows[chosen], augmentation=way, seed=plan.seed, epoch=epochs)
        with precision.autocast(plan.precision, device):
            step = task.step(model, to_device(batch, device))
        (step.loss_sum / plan.batch_size).backward()
        for optimizer in made:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return _statistics(task, model.eval(), examples, plan, rows)


@torch.no_grad()
def _statistics(
    task: Task, model: nn.Module, examples: Examples, plan: Plan, rows: np.ndarray
) -> dict[str, np.ndarray]:
    device, parts = torch.device(plan.device), []
    for batch in examples.batches(rows, size=500):
        with precision.autocast(plan.precision, device):
            step = task.step(model, to_device(batch, device))
        parts.append(task.metrics[0].update(step.output, batch))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _paired_error(metric: Any, one: dict[str, np.ndarray], other: dict[str, np.ndarray], *, draws: int = 100) -> float:
    """Standard error of the difference of two scores on the same examples, by bootstrap."""
    random = np.random.default_rng(0)
    count = len(next(iter(one.values())))
    weights = random.multinomial(count, np.full(count, 1 / count), size=draws)
    return float(np.std([metric.compute(other, w) - metric.compute(one, w) for w in weights]))
