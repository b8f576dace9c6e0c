"""Scores for a step of the user's own: its loss, the user's functions, and engram's metrics of the step's output.

Of a loss, often no more is known than the mean over a batch. Its interval then comes from how the batches' means
differ: to draw examples again one by one would hide how much they differ within a batch.

Shapes: B examples of a batch, N examples, S weightings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engram.core.errors import ConfigError
from engram.core.task import Batch, Step, with_tensors
from engram.metrics.metric import Metric

Statistics = dict[str, np.ndarray]


class Mean(Metric):
    """A mean over examples, each known by itself, or only in the mean of its batch (then "first" is where one begins).

    Statistics: "value" and "weight" (N,), and perhaps "first".
    """

    def weighted(self, statistics: Statistics, weights_SN: np.ndarray) -> np.ndarray:
        """Return the weighted means."""
        weights_SN = weights_SN * statistics["weight"]
        total_S = weights_SN.sum(1)
        sum_S = weights_SN @ statistics["value"]
        return np.divide(sum_S, total_S, out=np.full(len(total_S), np.nan), where=total_S > 0)

    def interval(self, statistics: Statistics) -> tuple[float, float] | None:
        """Return Student's t interval of the means of two batches or more."""
        first = statistics.get("first", np.zeros(1, bool)).astype(bool)
        if first.sum() < 2:
            return None
        weight = np.bincount(np.cumsum(first) - 1, weights=statistics["weight"])
        share, value, freedom = weight / weight.sum(), statistics["value"][first], first.sum() - 1
        mean = float(share @ value)
        error = float(np.sqrt(share**2 @ (value - mean) ** 2 * len(weight) / freedom))
        half = float(1.96 + 2.372 / freedom + 2.82 / freedom**2) * error  # t, by its expansion at the normal quantile
        return mean - half, mean + half


class Loss(Mean):
    """The mean loss."""

    higher_is_better = False

    def update(self, output: Step, batch: Any) -> Statistics:
        """Keep the batch's mean for each of its examples."""
        weight = float(output.weight)
        return of_batch(output.loss_sum.item() / weight if weight else 0.0, len(batch), weight=weight)


class OwnMetric(Mean):
    """A function of (output, batch) that gives a value per example, or one for the batch.

    An attribute `higher_is_better` of the function says what is better; without one it is only reported.
    """

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function
        self.higher_is_better = bool(getattr(function, "higher_is_better", True))  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The function's."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def update(self, output: Step, batch: Batch) -> Statistics:
        """Keep the values (B,), or the batch's mean where the function gives no more."""
        found = self.function(output_of(output, self.name), on_cpu(batch.examples))
        values = np.asarray(on_cpu(found), dtype=np.float64)
        if values.size == 1:
            return of_batch(float(values.reshape(())), len(batch), weight=len(batch))
        if values.shape != (len(batch),):
            raise ConfigError(
                f"expected of {self.name}(output, batch) one number, or one for each of the {len(batch)} examples; "
                f"got shape {values.shape}. Take the mean over further axes."
            )
        return {"value": values, "weight": np.ones(len(batch))}


class OfOutput(Metric):
    """One of engram's metrics, or one written like them: given the step's output, and a batch with `label`."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.higher_is_better = metric.higher_is_better  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The metric's."""
        return self.metric.name

    def update(self, output: Step, batch: Batch) -> Statistics:
        """Name what is in the batch: the entries of a dictionary; of a pair, the second is the label."""
        examples = on_cpu(batch.examples)
        named = examples if isinstance(examples, dict) else {}
        if isinstance(examples, list | tuple) and len(examples) == 2:
            named = {"label": examples[1]}
        seen = Batch(**{**named, "rows": batch.rows, "examples": examples})
        try:
            return self.metric.update(output_of(output, self.name), seen)
        except AttributeError as error:
            raise ConfigError(
                f"expected batches in which {self.name} finds what it reads ({error}). Let examples be pairs of input "
                "and label, or dictionaries with that name; or write the metric as a function of (output, batch)."
            ) from error

    def weighted(self, statistics: Statistics, weights_SN: np.ndarray) -> np.ndarray:
        """Return what the metric does."""
        return self.metric.weighted(statistics, weights_SN)

    def interval(self, statistics: Statistics) -> tuple[float, float] | None:
        """Return what the metric does."""
        return self.metric.interval(statistics)

    def influence(self, statistics: Statistics) -> np.ndarray | None:
        """Return what the metric does."""
        return self.metric.influence(statistics)


def of_batch(value: float, number: int, *, weight: float) -> Statistics:
    """Statistics of a batch of which only the mean is known."""
    each = np.ones(number)
    return {"value": value * each, "weight": weight / number * each, "first": np.arange(number) == 0}


def on_cpu(value: Any) -> Any:
    """Return a value with its tensors on the CPU, in single precision: metrics are not to depend on the machine."""
    return with_tensors(value, lambda t: (t.float() if t.is_floating_point() else t).detach().cpu())


def output_of(step: Step, name: str) -> Any:
    """Return the output that a step gave; ConfigError where it gave the loss alone."""
    if step.output is None:
        raise ConfigError(
            f"expected a step that gives its output, which {name} reads; got the loss alone. Return "
            "engram.Step(loss_sum, weight, output) from it."
        )
    return on_cpu(step.output)
