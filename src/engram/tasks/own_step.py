"""A step of the user's own: the loss is what the user's function says, and the examples are what their data set gives.

    engram.train(dataset, model=MyNet(), step=step)

Nothing is known of inputs, labels or answers here, so that nothing is augmented, calibrated or compared with floors;
all of the engine stands around it as around any task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.errors import ConfigError
from engram.core.evidence import Evidence
from engram.core.task import Batch, Step, Task
from engram.metrics.metric import Metric
from engram.tasks._own_metrics import Loss, OfOutput, OwnMetric

OwnFunction = Callable[[nn.Module, Any], Any]


class OwnStep(Task):
    """Lower the loss of `step(model, batch)`: a tensor, the mean over the batch, or a `Step`.

    metrics: engram's, or functions of (output, batch). The first selects the best weights where it says what is better
    (`higher_is_better`); elsewhere the loss on validation examples does. The task's output is the `Step` itself.
    """

    inputs: ClassVar = {}
    target: ClassVar = {}

    def __init__(self, step: OwnFunction | None = None, metrics: Sequence[Any] = ()) -> None:
        self.function = step
        given = tuple(_metric(one) for one in metrics)
        selects = bool(metrics) and hasattr(metrics[0], "higher_is_better")
        self.metrics = (*given, Loss()) if selects else (Loss(), *given)
        if len({one.name for one in self.metrics}) < len(self.metrics):
            raise ConfigError(
                f"expected metrics with a name each; got {', '.join(m.name for m in self.metrics)}. (The loss is one.)"
            )

    def matches(self, table: Any) -> Evidence:
        """Never: a table does not say what is to be learned from it in the user's own way."""
        return Evidence(0.0, "a step of one's own is handed over in Python")

    def model(self, size: str, features: Any) -> nn.Module:
        """There is none but the user's."""
        raise ConfigError("expected a network beside a step of your own; got none. Hand it over: model=MyNet().")

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Call the user's function; ConfigError where it gives no loss."""
        if self.function is None:
            raise ConfigError("expected the step of your own again; got none. Hand it over: step=FUNCTION.")
        found = self.function(model, batch.examples)
        if isinstance(found, Tensor):
            found = Step(found * len(batch), weight=len(batch))
        if not isinstance(found, Step):
            raise ConfigError(
                f"expected of the step a loss (a tensor with one number) or an engram.Step; got {type(found).__name__}."
            )
        if found.loss_sum.numel() != 1:
            raise ConfigError(
                f"expected of the step one loss for the batch; got shape {tuple(found.loss_sum.shape)}. Return its "
                "mean, or engram.Step(loss_sum, weight, output)."
            )
        return Step(found.loss_sum.reshape(()), found.weight, output=found)

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Step:
        """What the step gives. It needs whole examples: which part of them is the target, it alone knows."""
        output: Step = self.step(model, inputs).output
        return output


def _metric(given: Any) -> Metric:
    if isinstance(given, type):
        given = given()
    if isinstance(given, Metric):
        return OfOutput(given)
    if not callable(given) or getattr(given, "__name__", "") == "<lambda>":
        raise ConfigError(
            f"expected metrics that are engram's or functions of (output, batch) with a name; got {given!r}."
        )
    return OwnMetric(given)
