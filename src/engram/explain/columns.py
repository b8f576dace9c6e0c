"""Columns: what each column of a record does to answers, over many rows.

- importance: exchange a column between rows, and see how much worse the answers get (Breiman 2001, "Random forests");
- course: give all rows one value of a column after another, and see how the mean answer goes (Friedman 2001, "Greedy
  function approximation").

Both ask of rows that may not exist: where columns hang together, each seems to matter less than both do.

Shapes: N rows, F places of an encoded row, R repeats, G values along a column, A answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engram.core.parts import Axis
from engram.core.task import Batch
from engram.evaluate.evaluation import probabilities
from engram.predict.predictor import Predictor

REPEATS = 5
"""Ways in which a column is exchanged between rows."""

T = 2.776
"""Student's t for 95 % of five repeats."""

LEAST_ROWS = 20
COURSE_ROWS = 200
"""Rows over which a course is the mean."""


@dataclass(frozen=True)
class Importance:
    """rises: (R,) by how much the metric gets worse when the column is exchanged between rows."""

    axis: Axis
    rises: np.ndarray

    @property
    def mean(self) -> float:
        """Over the repeats."""
        return float(self.rises.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """In which the mean lies over more repeats (95 %)."""
        half = T * float(self.rises.std(ddof=1)) / len(self.rises) ** 0.5
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Asked:
    """Scored rows whose columns are exchanged. metric: one that notices small changes, which counts of hits do not."""

    predictor: Predictor
    role: str
    axes: list[Axis]
    encoded: Tensor
    label: Tensor
    metric: Any

    def score(self, encoded: Tensor) -> float:
        """The metric where the rows are these."""
        output = self._output(encoded)
        statistics = self.metric.update(output, Batch(rows=np.arange(len(encoded)), label=self.label))
        return float(self.metric.compute(statistics))

    def answers(self, encoded: Tensor) -> np.ndarray:
        """Probabilities, or numbers (N, A)."""
        output = self._output(encoded)
        if not self.predictor.task.answers.are_logits:
            return np.asarray(output[:, :1].double())
        return probabilities(output.numpy(), several=self.predictor.task.answers.calibration == "sigmoid")

    def _output(self, encoded: Tensor) -> Tensor:
        output: Tensor = self.predictor.output(Batch(rows=np.arange(len(encoded)), **{self.role: encoded}))[0]
        return output

    def first(self, number: int) -> Asked:
        """The same with fewer rows."""
        return Asked(self.predictor, self.role, self.axes, self.encoded[:number], self.label[:number], self.metric)


def asked(predictor: Predictor, items: Sequence[Any], label: np.ndarray) -> Asked | None:
    """Put scored items so that their columns can be exchanged; None where they have none, or are too few."""
    role = next(iter(predictor.task.inputs), "")
    axes = predictor.features[role].axes() if role else []
    if not axes or predictor.task.answers.calibration is None or len(items) < LEAST_ROWS:
        return None
    encoded = getattr(predictor.encode(items), role)
    metrics = predictor.task.metrics
    metric = next((metric for metric in metrics if not metric.higher_is_better), metrics[0])
    return Asked(predictor, role, axes, encoded, torch.from_numpy(np.asarray(label)), metric)


def within(rows: Asked, seconds: float) -> Asked:
    """As many of the rows as importances can be found with in about this time."""
    began = time.monotonic()
    rows.score(rows.encoded)
    each = (time.monotonic() - began) / len(rows.encoded)
    number = int(seconds / max(each * REPEATS * len(rows.axes), 1e-9))
    return rows.first(int(np.clip(number, LEAST_ROWS, len(rows.encoded))))


def importances(rows: Asked, *, keep_going: Callable[[], bool] = lambda: True) -> list[Importance]:
    """Return the importance of each column, the greatest first; of fewer columns where there is no time.

    keep_going: asked after each column.
    """
    plain = rows.score(rows.encoded)
    sign = -1.0 if rows.metric.higher_is_better else 1.0
    random, found = np.random.default_rng(0), []
    orders = [random.permutation(len(rows.encoded)) for _ in range(REPEATS)]
    for axis in rows.axes:
        rises = [sign * (rows.score(_exchanged(rows.encoded, axis, order)) - plain) for order in orders]
        found.append(Importance(axis, np.array(rises)))
        if not keep_going():
            break
    return sorted(found, key=lambda one: -one.mean)


def _exchanged(encoded: Tensor, axis: Axis, order: np.ndarray) -> Tensor:
    changed = encoded.clone()
    changed[:, axis.places] = encoded[order][:, axis.places]
    return changed


def course(rows: Asked, axis: Axis) -> np.ndarray:
    """Return (G, A) the mean answer where all rows have one value of a column after another."""
    assert axis.course is not None
    some = rows.encoded[:COURSE_ROWS]
    means = []
    for value_P in torch.from_numpy(axis.course.encoded):
        changed = some.clone()
        changed[:, axis.places] = value_P
        means.append(rows.answers(changed).mean(0))
    return np.stack(means)
