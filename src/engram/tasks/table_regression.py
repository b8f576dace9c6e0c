"""Table regression: say a number for each row of a table, and how far off it may be.

Shapes: B examples, K members of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from engram.core.answers import Numbers
from engram.core.claim import Claim
from engram.core.errors import ConfigError
from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step
from engram.data.table import Column
from engram.features.number import Number
from engram.floors.mean_value import MeanValue
from engram.losses.laplace import laplace
from engram.losses.squared_error import squared_error
from engram.metrics.coverage import Coverage
from engram.metrics.interval_width import IntervalWidth
from engram.metrics.mae import Mae
from engram.metrics.mse import Mse
from engram.metrics.r2 import R2
from engram.metrics.rmse import Rmse
from engram.models.delivered_number import LEVEL, DeliveredNumber
from engram.tasks._tables import NUMBERS, TableTask, floors, member_losses, members_of, table_sample

SPREAD_COUNTS = 0.1
"""Of the loss, what saying how far off one is counts beside being right."""


@dataclass
class NumberOptions:
    """Options of an answer. level: how often the truth is to lie between `low` and `high`."""

    level: float = field(default=LEVEL, metadata={"help": "how often the truth is to lie between low and high"})

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ConfigError(f"expected a level between 0 and 1, such as 0.8; got {self.level}")


class TableRegression(TableTask):
    """Say a number for each row of a table."""

    does: ClassVar = "says a number for each row of a table, and how far off it may be"
    target: ClassVar = {"label": Number}
    kind: ClassVar = "number"
    metrics = (Rmse(), Mae(), R2(), Mse(), Coverage(), IntervalWidth())
    floors: ClassVar = floors("number", MeanValue())
    options: ClassVar = NumberOptions
    answers: ClassVar = Numbers()
    unit: float = 1.0

    def judged(self, target: Column) -> Evidence:
        """Many numbers: few whole ones are taken as classes, where nobody says otherwise."""
        number = Number.matches(target)
        if 0 < number.score <= NUMBERS:
            return Evidence(0.0, f"{number.reason}; --task table_regression takes them as numbers")
        return number

    def see(self, features: Any) -> None:
        """Errors are measured in units of the training labels' spread, so that one rate of learning suits all."""
        if "label" in features:
            self.unit = float(features["label"].spread) or 1.0

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Squared error of each member of the network, and how well it knows its own errors."""
        members_BKV, output_BV = members_of(model, batch.record)
        loss_B = member_losses(self._loss, members_BKV, batch.label) * batch.importance
        return Step(loss_B.sum(), weight=batch.importance.sum(), output=output_BV)

    def _loss(self, answer_NV: Tensor, label_N: Tensor) -> Tensor:
        loss_N = squared_error(answer_NV[:, 0], label_N, unit=self.unit)
        if answer_NV.shape[1] == 1:  # a network that says nothing of its errors
            return loss_N
        return loss_N + SPREAD_COUNTS * laplace(answer_NV[:, 1], answer_NV[:, 0] - label_N, unit=self.unit)

    def predict(self, model: nn.Module, inputs: Batch, options: NumberOptions) -> Tensor:
        """Numbers first in each row; the delivered module's with both ends of its interval (B, 3)."""
        if isinstance(model, DeliveredNumber):  # only what is delivered has intervals
            return model(inputs.record, level=options.level)
        output_BV: Tensor = model(inputs.record)
        return output_BV[:, None] if output_BV.ndim == 1 else output_BV

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The number."""

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            return self.predict(model, batch, self.options())[:, :1].double()

        value = float(scores(model, example)[0, 0])
        return Claim(scores, 0, lambda _: f"{value:.4g}", log_odds=False)

    def decode(self, output: Tensor, features: Any, options: NumberOptions) -> list[dict[str, Any]]:
        """The number of each, and where it lies as often as `level` says."""
        names = ("value", "low", "high")
        return [dict(zip(names, row, strict=False)) for row in output.tolist()]

    @classmethod
    def sample(cls) -> Sample:
        """Made rows whose number hangs on a number and a name together."""
        return table_sample("number")
