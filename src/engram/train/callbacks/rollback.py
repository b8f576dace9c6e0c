"""Never learn from a step whose loss or gradient is no number, or far out of line.

What such a step would do is known before the weights move, so that to forget the step is enough. Should trouble come
again at once, the weights themselves have gone astray, and training returns to the newest checkpoint, which costs
nothing while all goes well. Each time its batch is left out and the learning rates are halved. After three times the
training ends with the best that it has.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Any, NoReturn

import torch

from engram.core.errors import EngramError
from engram.core.rundir import RunDirectory
from engram.train import checkpoint
from engram.train.callbacks.callback import Callback, Retake
from engram.train.trainer import Trainer

TRIES = 3

PROVEN = 10
"""Steps after which a return has helped: what comes then is the fault of another batch."""

WINDOW = 64
"""Losses that a new one is compared with."""

BEGINNING = 32
"""Steps at the start whose loss may be anything finite: networks often lose their way there, and find it again. What
has not come further has learned nothing to be kept."""

OVER_USUAL, OVER_BEGINNING = 50.0, 3.0
"""A spike is a loss so many times the usual one, and so many times the largest of the beginning. In healthy training
of 18 kinds no loss was above 21 and 1.0 times those (LOG.md, 2026-11-25)."""


class TrainingDivergedError(EngramError):
    """Weights, loss or gradient are infinite or no numbers, and little has been learned that could be kept."""

    exit_code = 1


class Rollback(Callback):
    """Go back from steps that would spoil the network, by the checkpoints of `run`."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.largest = 0.0

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What a new loss is compared with: a resumed training must judge alike."""
        return {}, {"losses": list(self.losses), "largest": self.largest}

    def load_state(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.losses, self.largest = deque(facts["losses"], maxlen=WINDOW), facts["largest"]

    def begin(self, trainer: Trainer) -> None:
        """Refuse weights from which nothing can be learned."""
        if not trainer.sound():
            raise TrainingDivergedError(
                "expected a network whose weights are finite numbers; some of this one's are infinite or none "
                "before the first step. Look at how it is initialised, or at the weights it starts from."
            )

    def before_update(self, trainer: Trainer, *, loss: float, gradient_norm: float) -> None:
        """Look at the step before it moves anything."""
        for what, value in (("loss", loss), ("gradient", gradient_norm)):
            if not math.isfinite(value):
                self._go_back(trainer, f"the {what} became {value}", step=trainer.pace.step)
        usual = median(map(abs, self.losses)) if self.losses else 0.0
        if len(self.losses) < BEGINNING:
            self.largest = max(self.largest, abs(loss))
        elif loss > OVER_USUAL * usual and loss > OVER_BEGINNING * self.largest:
            self._go_back(trainer, f"the loss jumped from about {usual:.3g} to {loss:.3g}", step=trainer.pace.step)
        self.losses.append(loss)

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Look at the last weights, of which no further step would tell."""
        if trainer.pace.finished and not trainer.sound():
            self._go_back(trainer, "weights became infinite or no numbers", step=trainer.pace.step - 1)

    def _go_back(self, trainer: Trainer, why: str, *, step: int) -> NoReturn:
        """To before that step, or to the newest checkpoint; or end there."""
        returns, batch = trainer.decisions.returns, trainer.decisions.batch(step)
        trainer.undo_step()
        proven = not returns or step - returns[-1]["step"] >= PROVEN or len(returns) == TRIES
        here = proven and trainer.sound()
        newest = None if here else checkpoint.load_newest(self.run)
        assert here or newest is not None, "training begins with a checkpoint"
        to = newest.step if newest else step
        if len(returns) < TRIES:
            trainer.decide("rollback", to=to, batch=batch, message=_told(step, why, to))
        else:
            trainer.decide("end", to=to, message=self._last_words(trainer, why, step=step, to=to))
        if newest:
            trainer.restore(newest)
        raise Retake

    def _last_words(self, trainer: Trainer, why: str, *, step: int, to: int) -> str:
        numbers = trainer.plan.optimizer
        advice = (
            "Lower the learning rates, for example --set optimizer.muon_learning_rate="
            f"{numbers.muon_learning_rate / 10:.2g} --set optimizer.learning_rate={numbers.learning_rate / 10:.2g}, "
            "or use --set precision=float32."
        )
        if to < BEGINNING:
            raise TrainingDivergedError(
                f"expected a finite loss; at step {step} {why}, for the {TRIES + 1}th time, before much was learned. "
                f"{advice}"
            )
        kept = f"Training ends with the best that it had until step {to}."
        return f"At step {step} {why}, for the {TRIES + 1}th time. {kept} {advice}"


def _told(step: int, why: str, to: int) -> str:
    where = "forgot that step" if to == step else f"went back to step {to}"
    return f"At step {step} {why}: training {where}, leaves its batch out, and goes on at half the learning rates."
