"""Score the network on validation data now and then, and keep the best weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from engram.core.events import emit
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer

SHARE = 0.05
"""Most of the training time that evaluations may take together."""

EVERY = 0.1
"""Progress between two evaluations, where they are cheap enough."""


class Evaluation(Callback):
    """Evaluate the averaged weights if there are any; `best` holds the state of the best evaluation so far."""

    def __init__(self, *, batch_size: int = 500) -> None:
        self.batch_size = batch_size
        self.spent = 0.0
        self.last_progress = 0.0
        self.best_score: float | None = None
        self.best: dict[str, torch.Tensor] = {}

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Evaluate where it is time and the time allows."""
        due = trainer.pace.progress - self.last_progress >= EVERY and not trainer.pace.finished
        if due and self.spent * 2 <= SHARE * trainer.seconds + 1e-9:
            self.last_progress = trainer.pace.progress
            self.evaluate(trainer)

    def end(self, trainer: Trainer) -> None:
        """Evaluate the final weights, and leave the best ones in the model."""
        if trainer.average is not None:
            trainer.average.copy_to(trainer.model)
        if self.best:
            final = self._score(trainer)
            if not _better(trainer, final, self.best_score):
                trainer.model.load_state_dict(self.best)

    def evaluate(self, trainer: Trainer) -> None:
        """Score the present weights and keep them if they are the best."""
        began = time.monotonic()
        with averaged(trainer):
            score = self._score(trainer)
            if _better(trainer, score, self.best_score):
                self.best_score = score
                self.best = {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}
        self.spent += time.monotonic() - began

    @torch.no_grad()
    def _score(self, trainer: Trainer) -> float:
        """The task's first metric on the validation rows."""
        metric, rows = trainer.task.metrics[0], trainer.examples.splits["val"]
        trainer.model.eval()
        collected: list[dict[str, np.ndarray]] = []
        for start in range(0, len(rows), self.batch_size):
            batch = trainer.load(rows[start : start + self.batch_size])
            with trainer.autocast():
                step = trainer.task.step(trainer.model, batch)
            collected.append(metric.update(step.output, batch))
        score = metric.compute({name: np.concatenate([part[name] for part in collected]) for name in collected[0]})
        emit("evaluated", step=trainer.pace.step, metrics={metric.name: round(score, 5)})
        return score


@contextmanager
def averaged(trainer: Trainer) -> Iterator[None]:
    """Within the block, the model has the averaged weights, if any are kept."""
    if trainer.average is None:
        yield
        return
    kept = {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}
    trainer.average.copy_to(trainer.model)
    yield
    trainer.model.load_state_dict(kept)


def _better(trainer: Trainer, score: float, than: float | None) -> bool:
    if than is None:
        return True
    return score >= than if trainer.task.metrics[0].higher_is_better else score <= than
