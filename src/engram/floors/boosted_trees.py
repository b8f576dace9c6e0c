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
from engram.floors._trees import Trees, mean_of
from engram.floors.floor import Batches, Floor

MOST_VALUES = 100_000_000
"""Numbers that are learned from: 400 MB; beyond it an even share of the rows."""

HELD_OUT = 0.15
"""The share of rows that says how many rounds are enough."""

FEW_ROWS, FOLDS = 3_000, 5
"""Of few rows, each has its turn at being held out."""

MOST_ROUNDS, PATIENCE = 3_000, 50

LEAVES = (31, 15, 63)
"""Of a tree, at most. Tried in this order on rows held out, as long as there is time."""

MOST_CATEGORIES = 1_000
"""Of more, their codes are taken as numbers: sets of them are learned by heart."""

NUMBERS: dict[str, Any] = {
    "learning_rate": 0.03,
    "lambda_l2": 1.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_per_group": 50,
    "cat_l2": 20.0,
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
    members = 3
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
        """Find out on rows held out how many rounds of which trees are best, then fit these on all."""
        return self._fit(batches, features, until=time.monotonic() + seconds)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit as many rounds of trees of as many leaves as before."""
        return self._again(fitted, batches, features, until=time.monotonic() + seconds)

    def several(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit more of them, as many as there is time for, and return their mean."""
        assert isinstance(fitted, Trees)
        until, found = time.monotonic() + seconds, [fitted]
        for seed in range(1, self.members):
            more = self._again(fitted, batches, features, until=until, seed=seed)
            if time.monotonic() > until:  # its rounds may have been cut short
                break
            found.append(more)
        return mean_of(found)

    def _again(self, fitted: nn.Module, batches: Batches, features: Any, *, until: float, seed: int = 0) -> Trees:
        """Fit with the choices that were made for `fitted`."""
        assert isinstance(fitted, Trees)
        chosen = Enough(fitted.rounds, int(fitted.leaves))
        return self._fit(batches, features, until=until, chosen=chosen, seed=seed)

    def _fit(
        self, batches: Batches, features: Any, *, until: float, chosen: Enough | None = None, seed: int = 0
    ) -> Trees:
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
                seed=seed,
            )
            enough = chosen or boosting.enough()
            models.append(boosting.model(enough))
        trees.leaves.fill_(enough.leaves)
        return trees.take(arrays_of(models, categories(features.record), scale=scale, shift=shift))


def categories(record: Any) -> dict[int, int]:
    """The places of a record that hold categories, with how many there are."""
    return {
        place: number
        for place, number in enumerate(record.cardinalities, record.num_numbers)
        if number <= MOST_CATEGORIES
    }


@dataclass(frozen=True)
class Enough:
    """What is best on rows held out: so many rounds of trees with so many leaves, whose loss was this."""

    rounds: int
    leaves: int
    loss: float = np.inf


@dataclass
class Boosting:
    """A training of LightGBM's.

    classes: 0 where labels are numbers, 1 where they are yes or no, else how many there are. until: a
    `time.monotonic()` value after which rounds end early; before it the result depends on data and seed alone.
    """

    rows: np.ndarray
    labels: np.ndarray
    record: Any
    classes: int
    until: float
    seed: int = 0

    def numbers(self, leaves: int) -> dict[str, Any]:
        """What LightGBM is told."""
        objective = {0: "regression", 1: "binary"}.get(self.classes, "multiclass")
        leaf = int(np.clip(len(self.labels) / 100, 3, 20))
        more = {"num_class": self.classes} if self.classes > 1 else {}
        more |= {"min_data_in_leaf": leaf, "num_threads": torch.get_num_threads(), "seed": self.seed}
        return {**NUMBERS, **more, "objective": objective, "num_leaves": leaves}

    def data(self) -> Any:
        """The rows, as LightGBM has them."""
        import lightgbm

        places = list(categories(self.record))
        return lightgbm.Dataset(self.rows, self.labels, categorical_feature=places, params={"verbosity": -1})

    def enough(self) -> Enough:
        """Return the rounds and leaves of the least loss on rows held out; half of the time is for this."""
        now, number = time.monotonic(), len(self.labels)
        until = now + (self.until - now) / 2
        few, mixed = number <= FEW_ROWS, np.random.default_rng(0).permutation(number)
        held = np.array_split(mixed, FOLDS) if few else [mixed[: int(HELD_OUT * number)]]
        folds = [(np.setdiff1d(mixed, some), some) for some in held]
        found: list[Enough] = []
        for leaves in LEAVES:
            began = time.monotonic()
            found.append(self._tried(leaves, folds, until))
            if 2 * time.monotonic() - began > until:  # another try would take about as long
                break
        return min(found, key=lambda each: each.loss)

    def _tried(self, leaves: int, folds: list[tuple[np.ndarray, np.ndarray]], until: float) -> Enough:
        import lightgbm

        ends: list[Any] = [lightgbm.early_stopping(PATIENCE, verbose=False), ending(until)]
        numbers = self.numbers(leaves)
        found = lightgbm.cv(numbers, self.data(), MOST_ROUNDS, folds=folds, stratified=False, callbacks=ends)
        losses: Any = next(iter(found.values()))  # up to the best round
        return Enough(len(losses), leaves, losses[-1])

    def model(self, enough: Enough) -> str:
        """Fit on all rows, and return the model as LightGBM writes it down."""
        import lightgbm

        numbers, ends = self.numbers(enough.leaves), [ending(self.until)]
        return lightgbm.train(numbers, self.data(), enough.rounds, callbacks=ends).model_to_string()


def ending(until: float) -> Callable[[Any], None]:
    """Return what ends a training of LightGBM's when it is time."""

    def end(environment: Any) -> None:
        if time.monotonic() > until:
            from lightgbm.callback import EarlyStopException

            raise EarlyStopException(environment.iteration, environment.evaluation_result_list)

    return end
