"""The trained network on some rows, as everything that is fitted after training sees it.

Shapes: N examples, C outputs, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from engram.core.task import Batch
from engram.models.delivered import Delivered
from engram.predict.answering import answer
from engram.train.trainer import Trainer

MOST_ROWS = 5_000
"""Training rows that are looked at: more tell hardly more."""


def looked_at(module: Delivered, trainer: Trainer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bare network on some rows: (its outputs (N, C), last hidden layer (N, D), labels)."""
    outputs, hidden, labels = [], [], []
    for batch in batches(trainer, rows):
        found, seen = module.hidden(lambda _: plain(trainer, batch))  # noqa: B023  (called at once)
        outputs.append(found.float().cpu().numpy())
        hidden.append(np.zeros((len(found), 0), np.float32) if seen is None else seen.cpu().numpy())
        labels.append(batch.label.cpu().numpy())
    return np.concatenate(outputs), np.concatenate(hidden), np.concatenate(labels)


def some(rows: np.ndarray) -> np.ndarray:
    """At most `MOST_ROWS` of some rows, evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]


def plain(trainer: Trainer, batch: Batch) -> Any:
    """What the bare network answers."""
    return answer(trainer.task, trainer.model, batch, precision=trainer.plan.precision)[0]


def batches(trainer: Trainer, rows: np.ndarray) -> Iterable[Batch]:
    """Some rows as the trainer takes them."""
    for start in range(0, len(rows), trainer.micro_batch):
        yield trainer.load(rows[start : start + trainer.micro_batch])


def mixed(trainer: Trainer, *, number: int = 20) -> np.ndarray:
    """Some training rows of all classes mixed, as in training, and where there are enough in whole batches."""
    size, rows = trainer.micro_batch, trainer.examples.splits["train"]
    shuffled = np.random.default_rng(trainer.plan.seed).permutation(rows)
    return shuffled[: size * min(number, max(1, len(rows) // size))]
