"""The contract of a floor: fitted in seconds, used like a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from engram.core.registry import snake_case

if TYPE_CHECKING:
    from torch import nn

    from engram.core.task import Batch


class Floor:
    """A baseline of a task. Configured by keyword arguments, without state of its own."""

    @property
    def name(self) -> str:
        """The floor's name, which is its file's name."""
        return snake_case(type(self).__name__)

    def fit(self, batches: Callable[[], Iterable[Batch]], features: Any, *, seconds: float) -> nn.Module:
        """Fit on the training batches (the view that answers are given for) within about `seconds`.

        `batches` may be called once per pass. Returns a module that takes the inputs the network takes
        and gives the output the network gives.
        """
        raise AssertionError("a floor must say this")
