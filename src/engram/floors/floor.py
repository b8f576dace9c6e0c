"""The contract of a floor: fitted in seconds, used like a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from engram.core.registry import snake_case

if TYPE_CHECKING:
    from torch import nn

    from engram.core.task import Batch


class Batches(Protocol):
    """Go once over the training examples, in an order that has nothing to do with their labels."""

    def __call__(self, *roles: str) -> Iterable[Batch]:
        """Yield batches that hold these roles alone, so that what is not needed is not read; none named: all."""


class Floor:
    """A baseline of a task. Configured by keyword arguments, without state of its own.

    deliverable: whether it may be delivered, alone or blended with the network, where validation rows say so.
    members: of how many of its kind, at most, what is then delivered in its place is the mean; see `several`.
    needs: a package that fitting imports, which the extra of engram's brings; "" where it needs nothing more. What was
    fitted is used without it.
    """

    deliverable: ClassVar[bool] = False
    members: ClassVar[int] = 1
    needs: ClassVar[str] = ""
    extra: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The floor's name, which is its file's name."""
        return snake_case(type(self).__name__)

    def build(self, features: Any) -> nn.Module:
        """Return the module unfitted, with the shapes that `fit` gives it, to load a saved state into.

        The module takes the inputs the network takes and gives the output the network gives. All that
        fitting decides is in its `state_dict`. `features` holds the fitted features by role.
        """
        raise AssertionError("a floor must say this")

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit on the training batches (the view that answers are given for) within about `seconds`.

        `batches` may be called once per pass. Returns the module of `build`, fitted, on the CPU.
        """
        raise AssertionError("a floor must say this")

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit again on more rows of the same kind, with the choices that `fit` made.

        For deliverable floors of tasks whose answers say that they are refitted (`Answers.refits`).
        """
        raise AssertionError("a deliverable floor must say this")

    def several(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Return what is delivered in place of a floor that was fitted to these rows: by default itself.

        Where fitting draws at random, the mean of `members` that drew differently errs less than any of them. That is
        no floor any more, which stays the one plain model that anybody would fit.
        """
        return fitted
