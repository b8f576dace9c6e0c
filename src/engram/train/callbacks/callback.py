"""The contract of a callback: what may be done between the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from engram.train.trainer import Trainer


class Retake(Exception):  # noqa: N818  (nothing went wrong)
    """Raised before an update: leave it, and take the step that the trainer now stands at."""


class Callback:
    """Called by the training loop. Override what is needed; the trainer and all it holds may be read and changed."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint must keep for this callback: tensors, and facts that JSON can hold."""
        return {}, {}

    def load_state(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""

    def begin(self, trainer: Trainer) -> None:
        """Before the first step."""

    def before_update(self, trainer: Trainer, *, loss: float, gradient_norm: float) -> None:
        """When a step's gradients are there and nothing has moved. Raise `Retake` to forget them."""

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """After each optimizer step. `learning_rate` is the factor on the peak rates."""

    def end(self, trainer: Trainer) -> None:
        """After the last step."""
