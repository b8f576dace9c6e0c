"""The floor of tables: gradient-boosted trees, fitted by LightGBM and delivered without it.

Shapes: B examples, N of them in training, F places of a record, C classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.floors._gathering import gathered
from engram.floors._lightgbm import arrays_of
from engram.floors._trees import Trees
from engram.floors.floor import Batches, Floor

MOST_VALUES = 100_000_000
"""Numbers that are learned from: 400 MB; beyond it an even share of the rows."""

HELD_OUT = 0.15
"""The share of rows that says how many rounds are enough."""

FEW_ROWS, FOLDS = 3_000, 5
"""Of few rows, each has its turn at being held out."""

MOST_ROUNDS, PATIENCE = 3_000, 50

MOST_CATEGORIES = 1_000
"""Of more, their codes are taken as numbers: sets of them are learned by heart."""

NUMBERS: dict[str, Any] = {
    "learning_rate": 0.06,
    "num_leaves": 31,
    "lambda_l2": 1.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 20.0,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class BoostedTrees(Floor):
    """Trees, each of which mends what those before it leave.

    kind: of the role `label`: "softmax" for class numbers (B,), "sigmoid" for yes or no (B, C), "number" for numbers
    (B,). Reads the role `record` (B, F) beside it.
    """

    deliverable = True
    needs = "lightgbm"
    extra = "tables"

    def __init__(self, *, kind: str = "softmax") -> None:
        self.kind = kind

    def build(self, features: Any) -> nn.Module:
        """Return the module without trees."""
        classes = 1 if self.kind == "number" else features.label.size
        binary = self.kind == "softmax" and classes == 2
        return Trees(1 if binary else classes, binary=binary)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Find out on rows held out how many rounds are enough, then fit so many on all."""
        return self._fit(batches, features, until=time.monotonic() + seconds)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit as many rounds as before."""
        assert isinstance(fitted, Trees)
        return self._fit(batches, features, until=time.monotonic() + seconds, rounds=fitted.rounds)

    def _fit(self, batches: Batches, features: Any, *, until: float, rounds: int | None = None) -> nn.Module:
        reading = (time.monotonic() + until) / 2
        parts, label = gathered(batches, "record", take=lambda record: record, room=MOST_VALUES, until=reading)
        record_NF, trees = torch.cat(parts).numpy(), self.build(features)
        assert isinstance(trees, Trees)
        shift, scale = (features.label.mean, features.label.spread) if self.kind == "number" else (0.0, 1.0)
        models = []
        columns = list(label.T) if self.kind == "sigmoid" else [label]
        for left, label_N in zip(range(len(columns), 0, -1), columns, strict=True):
            now = time.monotonic()
            boosting = Boosting(
                record_NF,
                (label_N.numpy() - shift) / scale,
                features.record,
                classes=trees.outputs if self.kind == "softmax" else 0 if self.kind == "number" else 1,
                until=now + (until - now) / left,
            )
            models.append(boosting.model(rounds or boosting.enough()))
        return trees.take(arrays_of(models, categories(features.record), scale=scale, shift=shift))


def categories(record: Any) -> dict[int, int]:
    """The places of a record that hold categories, with how many there are."""
    return {
        place: number
        for place, number in enumerate(record.cardinalities, record.num_numbers)
        if number <= MOST_CATEGORIES
    }


@dataclass
class Boosting:
    """A training of LightGBM's.

    classes: 0 where labels are numbers, 1 where they are yes or no, else how many there are. until: a
    `time.monotonic()` value after which rounds end early; before it the result depends on the data alone.
    """

    rows: np.ndarray
    labels: np.ndarray
    record: Any
    classes: int
    until: float

    @property
    def numbers(self) -> dict[str, Any]:
        """What LightGBM is told."""
        objective = {0: "regression", 1: "binary"}.get(self.classes, "multiclass")
        leaf = int(np.clip(len(self.labels) / 100, 3, 20))
        more = {"num_class": self.classes} if self.classes > 1 else {}
        more |= {"min_data_in_leaf": leaf, "num_threads": torch.get_num_threads()}
        return {**NUMBERS, **more, "objective": objective}

    def data(self) -> Any:
        """The rows, as LightGBM has them."""
        import lightgbm

        places = list(categories(self.record))
        return lightgbm.Dataset(self.rows, self.labels, categorical_feature=places, params={"verbosity": -1})

    def enough(self) -> int:
        """Return the number of rounds with the least loss on rows held out; half of the time is for this."""
        import lightgbm

        now, number = time.monotonic(), len(self.labels)
        few, mixed = number <= FEW_ROWS, np.random.default_rng(0).permutation(number)
        held = np.array_split(mixed, FOLDS) if few else [mixed[: int(HELD_OUT * number)]]
        folds = [(np.setdiff1d(mixed, some), some) for some in held]
        ends = [lightgbm.early_stopping(PATIENCE, verbose=False), ending(now + (self.until - now) / 2)]
        losses = lightgbm.cv(self.numbers, self.data(), MOST_ROUNDS, folds=folds, stratified=False, callbacks=ends)
        return len(next(iter(losses.values())))

    def model(self, rounds: int) -> str:
        """Fit on all rows, and return the model as LightGBM writes it down."""
        import lightgbm

        return lightgbm.train(self.numbers, self.data(), rounds, callbacks=[ending(self.until)]).model_to_string()


def ending(until: float) -> Callable[[Any], None]:
    """Return what ends a training of LightGBM's when it is time."""

    def end(environment: Any) -> None:
        if time.monotonic() > until:
            from lightgbm.callback import EarlyStopException

            raise EarlyStopException(environment.iteration, environment.evaluation_result_list)

    return end
