"""Decide by trial: train the same small network in several ways for a moment, and see which does better."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.core.task import Task
from engram.data.examples import Examples
from engram.train.plan import Plan
from engram.train.trainer import Trainer

MOST_ROWS = 2000
"""Validation rows that a trial is judged on, evenly spread over them all."""

BATCH_SIZE = 128
"""Examples a step: in a moment, many small steps learn more than few large ones."""


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
    metric, short = task.selection, dataclasses.replace(in_small_steps(plan), steps=steps)
    rows = examples.splits["val"]
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
    results = {}
    for name, augmentation in candidates.items():
        torch.manual_seed(plan.seed)
        trainer = Trainer(task, make(), examples, short, augmentation=augmentation)
        trainer.fit()
        results[name] = trainer.statistics(rows)
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


def in_small_steps(plan: Plan) -> Plan:
    """The plan as a trial follows it."""
    size = min(plan.batch_size, BATCH_SIZE)
    return dataclasses.replace(plan, batch_size=size, micro_batch=min(plan.micro_batch, size))


def _paired_error(metric: Any, one: dict[str, np.ndarray], other: dict[str, np.ndarray], *, draws: int = 100) -> float:
    """Standard error of the difference of two scores on the same examples, by bootstrap."""
    random = np.random.default_rng(0)
    count = len(next(iter(one.values())))
    weights = random.multinomial(count, np.full(count, 1 / count), size=draws)
    return float(np.std([metric.compute(other, w) - metric.compute(one, w) for w in weights]))
