"""Never go on with a loss that is no number."""

from __future__ import annotations

import math

from engram.core.errors import EngramError
from engram.train.callbacks.callback import Callback
from engram.train.trainer import Trainer


class TrainingDivergedError(EngramError):
    """The loss became infinite or not a number."""

    exit_code = 1


class Sanity(Callback):
    """Stop as soon as the loss is infinite or not a number; the last checkpoint is from before."""

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Look at the loss of the step."""
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"expected a finite loss; it became {loss} at step {trainer.pace.step}. "
                "Lower the learning rates, for example --set optimizer.muon_learning_rate="
                f"{trainer.plan.optimizer.muon_learning_rate / 3:.3g}, or use --set precision=float32"
            )
