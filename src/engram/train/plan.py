"""The plan: every number of a training, decided and explained before anything runs.

Each number stands under the name by which it can be set (`--set optimizer.warmup=0.1`), and at the end it
is compared with what happened.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engram.core.errors import ConfigError, unknown
from engram.optim.build import Optimization


@dataclass
class Plan:
    """The numbers of one training.

    recipe: "standard", or "plain": see `PLAIN`. size: of the network. batch_size: examples a step. micro_batch:
    examples at once (the rest accumulates). window: rows that are shuffled together, 0 for all. steps: optimizer steps
    in all; a time budget may change it while training runs. precision: of matrix products. channels_last: memory layout
    of pictures. augmentation: the name of the task's way of changing examples. passes: how often each example is seen,
    as planned. coarse_until: progress up to which pictures are seen smaller. views: the ways each example is looked at
    for an answer. evaluate_every: progress between two evaluations.
    """

    recipe: str = "standard"
    size: str = "small"
    batch_size: int = 500
    micro_batch: int = 500
    window: int = 0
    steps: int = 0
    precision: str = "float32"
    channels_last: bool = True
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    augmentation: str = ""
    passes: float = 1.0
    coarse_until: float = 0.0
    evaluate_every: float = 0.1
    views: tuple[str, ...] = ("plain",)
    optimizer: Optimization = field(default_factory=Optimization)
    predicted_seconds: float = 0.0
    predicted_memory: int = 0
    predicted_disk: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    def explain(self, name: str, value: Any, reason: str) -> None:
        """Set a number, with the reason for it."""
        _set(self, name, value)
        self.reasons[name] = reason

    def described(self) -> dict[str, dict[str, Any]]:
        """Every number that has a reason: name -> {"value", "reason"}."""
        return {name: {"value": _get(self, name), "reason": reason} for name, reason in self.reasons.items()}

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Read back what `as_dict` gave."""
        return cls(**{**values, "optimizer": Optimization(**values["optimizer"]), "views": tuple(values["views"])})

    def override(self, settings: Mapping[str, Any]) -> None:
        """Set numbers by their printed names, from text or values. ConfigError offers the nearest name."""
        for name, value in settings.items():
            if name in NAMED_OPTIONS:
                raise ConfigError(f"{name} has an option of its own: --{name}. Use that in place of --set {name}=...")
            if name.startswith("predicted_"):
                raise ConfigError(f"expected a number that training goes by; {name} is what the plan foresees of it.")
            if name not in settable(self):
                raise unknown("setting", name, settable(self))
            self.explain(name, _checked(name, _parsed(name, value, _get(self, name))), SET)


NAMED_OPTIONS = ("device", "seed", "size", "steps", "recipe")
CHOSEN_FROM = {"precision": ("float32", "bfloat16")}
FROM_ONE = ("batch_size", "micro_batch", "threads")
UP_TO_ONE = (
    "coarse_until",
    "optimizer.warmup",
    "optimizer.final_rate",
    "optimizer.average_decay",
    "optimizer.muon_momentum",
)
_FOLLOWS = ("optimizer", "reasons", "passes")

SET = "set by you"

SIZES = ("small", "medium", "large")
RECIPES = ("standard", "plain")
RATES = ("optimizer.head_learning_rate", "optimizer.vector_learning_rate")
"""Rates of AdamW that follow `optimizer.learning_rate` where nobody says otherwise."""

PLAIN = {
    "precision": "float32",
    "channels_last": False,
    "optimizer.learning_rate": 1e-3,
    "optimizer.muon_learning_rate": 0.0,
    "optimizer.weight_decay": 0.01,
    "optimizer.vector_weight_decay": 0.01,
    "optimizer.beta1": 0.9,
    "optimizer.beta2": 0.999,
    "optimizer.clip_norm": 0.0,
    "optimizer.warmup": 0.0,
    "optimizer.final_rate": 1.0,
    "optimizer.average_decay": 0.0,
}
"""The loop one would have written by hand: `torch.optim.AdamW(model.parameters())` as it comes, at a constant rate."""


def settable(plan: Plan) -> list[str]:
    """The names of all numbers that can be set."""
    own = [
        f.name
        for f in dataclasses.fields(plan)
        if f.name not in (*_FOLLOWS, *NAMED_OPTIONS) and "predicted" not in f.name
    ]
    return own + [f"optimizer.{f.name}" for f in dataclasses.fields(plan.optimizer)]


def _get(plan: Plan, name: str) -> Any:
    head, _, rest = name.rpartition(".")
    return getattr(plan.optimizer if head else plan, rest)


def _set(plan: Plan, name: str, value: Any) -> None:
    head, _, rest = name.rpartition(".")
    setattr(plan.optimizer if head else plan, rest, value)


def _parsed(name: str, value: Any, present: Any) -> Any:
    """Read a value as the type of the present one."""
    kind = type(present)
    if kind is tuple:
        return tuple(value.split(",") if isinstance(value, str) else value)
    if not isinstance(value, str):
        try:
            return kind(value)
        except (TypeError, ValueError):
            raise ConfigError(f"expected {kind.__name__} for {name}, such as {present}; got {value!r}") from None
    if kind is bool:
        if value.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
            return value.lower() in ("true", "yes", "on", "1")
        raise ConfigError(f"expected true or false for {name}; got {value!r}")
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"expected {kind.__name__} for {name}, such as {present}; got {value!r}") from None


def _checked(name: str, value: Any) -> Any:
    """Return a value as it is, or ConfigError where no training can go by it."""
    if name in CHOSEN_FROM and value not in CHOSEN_FROM[name]:
        raise unknown(name, value, CHOSEN_FROM[name])
    least = 1 if name in FROM_ONE else 0
    if isinstance(value, int | float) and not least <= value < math.inf:
        raise ConfigError(f"expected a number from {least} on for {name}; got {value}")
    if name in UP_TO_ONE and value > 1:
        raise ConfigError(f"expected a share from 0 to 1 for {name}; got {value}")
    return value
