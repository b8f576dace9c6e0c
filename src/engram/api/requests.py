"""What the user asks for: how data is to be read, and how the training is to be planned. Verbs that learn take both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engram.api.wishing import known_wishes
from engram.core import wishes as wish
from engram.core.errors import ConfigError, unknown
from engram.core.units import parse_duration
from engram.models import build
from engram.models.delivered import view_weights
from engram.train import precision
from engram.train.plan import RECIPES, SIZES, Plan

BUDGET = 600.0
"""Seconds a training may take where nobody says otherwise."""

DIVISIONS = ("time", "random")
"""Ways to divide data that may be asked for in place of a column that says it."""

RECORDED_BESIDE = ("data", "budget", "report", "after", "most_steps", "refit")
"""What a run records of itself among its options."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class DataRequest:
    """How data is to be read, and what is to be learned from it; None for what suits the data.

    task: its name. target, input: columns to predict and to learn from, one or several. split: a column that says
    train, val or test; or "time", "random". group: a column, or a pattern over file names, whose rows stay on one side
    of a split. apply: a CSV file of fixes, as `inspect` writes it, which make a view of the data. seed: of the split.
    test: False sets no rows aside for a test. wishes: how features are to see the data, such as tokenizer="words" or
    horizon=96 (`engram train --help` lists them). ConfigError for a wish that cannot be.
    """

    task: str | None = None
    target: Any = None
    input: Any = None
    split: str | None = None
    group: str | None = None
    apply: str | Path | None = None
    seed: int = 0
    test: bool | None = None
    wishes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"expected a seed of 0 or more; got {self.seed}")
        object.__setattr__(self, "wishes", wish.checked(self.wishes, known_wishes()))

    @classmethod
    def of(cls, options: dict[str, Any]) -> DataRequest:
        """Of a verb's options: what is no field is a wish.

        ConfigError for what is neither.
        """
        own = {name: options[name] for name in _names(cls) if name in options}
        wishes = {name: value for name, value in options.items() if name not in own}
        known = {one.name for one in known_wishes()}
        if wrong := next((name for name in wishes if name not in known), None):
            raise unknown("option", wrong, (known | {*_names(cls), *_names(PlanRequest)}) - {"test", "wishes"})
        return cls(**own, wishes=wishes)

    @classmethod
    def recorded(cls, options: Mapping[str, Any]) -> DataRequest:
        """Of the options that a run recorded; fixes are left out."""
        return cls.of({name: value for name, value in options.items() if name not in RECORDED_BESIDE})

    @property
    def division(self) -> str:
        """The way to divide the data: "time", "random", or "" where a column says it, or nothing."""
        return self.split if isinstance(self.split, str) and self.split in DIVISIONS else ""

    def record(self) -> dict[str, Any]:
        """What a run records of it, fixes left out, of which it keeps a copy."""
        own = {name: getattr(self, name) for name in _names(type(self)) if name not in ("apply", "wishes")}
        return {**own, **self.wishes}

    def named(self) -> list[str]:
        """The names of what was asked for, the seed left out."""
        asked = {**vars(self), **self.wishes, "wishes": None, "seed": None}
        return [name for name, value in asked.items() if value not in (None, False)]


@dataclass(frozen=True)
class PlanRequest:
    """How a training is to be planned; None for what suits data and machine.

    budget: seconds, or "90s", "10m", "2h": an upper bound for everything. epochs, steps: instead of a budget. model: an
    `nn.Module`, a factory, or "FILE:NAME". size: "small", "medium", "large". device: cpu, cuda or mps. recipe:
    "standard", or "plain" for the loop one would have written by hand. settings: numbers of the plan by name.
    """

    budget: str | float | None = None
    epochs: float | None = None
    steps: int | None = None
    model: Any = None
    size: str | None = None
    device: str | None = None
    recipe: str = "standard"
    settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be, whatever the data: before it is read, which may take long. ConfigError."""
        plan = Plan()
        plan.override(self.settings or {})
        view_weights(plan.views)
        precision.choose_device(self.device)
        for name, value, known in (("size", self.size, SIZES), ("recipe", self.recipe, RECIPES)):
            if value is not None and value not in known:
                raise unknown(name, value, known)
        build.refuse_wrong(self.model)

    def time_limit(self) -> float | None:
        """Return the seconds that everything may take; None where the length is given in epochs or steps.

        ConfigError where several are given, or one is no positive number.
        """
        if sum(value is not None for value in (self.budget, self.epochs, self.steps)) > 1:
            raise ConfigError("expected one of budget, epochs and steps; got several. Give one of them.")
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise ConfigError(f"expected a number of epochs above zero, such as 10; got {self.epochs}")
        if self.steps is not None and (self.steps != int(self.steps) or self.steps < 1):
            raise ConfigError(f"expected a whole number of steps, 1 or more; got {self.steps}")
        if self.budget is not None:
            return parse_duration(self.budget)
        return BUDGET if self.epochs is None and self.steps is None else None

    def named(self) -> list[str]:
        """The names of what a run keeps and was asked for."""
        kept = {name: getattr(self, name) for name in ("epochs", "steps", "size", "settings")}
        kept["recipe"] = None if self.recipe == type(self).recipe else self.recipe
        return [name for name, value in kept.items() if value not in (None, {})]


def taken(kind: type[Part], options: dict[str, Any]) -> Part:
    """Make a dataclass of those of a verb's options that are its fields; they are taken out."""
    return kind(**{name: options.pop(name) for name in _names(kind) if name in options})


def _names(kind: Any) -> list[str]:
    return [one.name for one in dataclasses.fields(kind)]
