"""Score the network on validation data now and then, and keep the best weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from engram.core.events import emit
from engram.train.callbacks.callback import Callback
from engram.train.trainer import CutShort, Trainer


class Evaluation(Callback):
    """Evaluate the averaged weights if there are any; `best` holds the state of the best evaluation so far."""

    def __init__(self, *, every: float) -> None:
        """`every`: progress between two evaluations (1 or more: only at the end)."""
        self.every = every
        self.last_progress = 0.0
        self.due = False
        self.best_score: float | None = None
        self.best: dict[str, torch.Tensor] = {}

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Evaluate where it is time."""
        if trainer.pace.progress - self.last_progress >= self.every and not trainer.pace.finished:
            self.last_progress, self.due = trainer.pace.progress, True
            self.begin(trainer)

    def begin(self, trainer: Trainer) -> None:
        """Evaluate if that is due, as it also is where a stop cut the last one short."""
        if self.due:
            with contextlib.suppress(CutShort):
                self.evaluate(trainer)
                self.due = False

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """The best weights so far, their score, when the last evaluation was, and whether it is still to be made."""
        return self.best, {
            "best_score": self.best_score,
            "last_progress": self.last_progress,
            "due": self.due,
        }

    def load_state(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.best, self.best_score, self.last_progress = tensors, facts["best_score"], facts["last_progress"]
        self.due = facts["due"]

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
        with averaged(trainer):
            score = self._score(trainer)
            if _better(trainer, score, self.best_score):
                self.best_score = score
                self.best = {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}

    def _score(self, trainer: Trainer) -> float:
        """The metric that selects, on the validation rows; NaN where they have no score."""
        metric = trainer.task.selection
        score = metric.compute(trainer.statistics(trainer.examples.splits["val"]))
        if not math.isnan(score):
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
    try:
        yield
    finally:
        trainer.model.load_state_dict(kept)


def _better(trainer: Trainer, score: float, than: float | None) -> bool:
    """Whether a later score is no worse than an earlier one; where there are none (NaN), later weights are better."""
    if than is None:
        return True
    return not (score < than if trainer.task.selection.higher_is_better else score > than)
