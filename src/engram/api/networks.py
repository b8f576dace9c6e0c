"""Which network: the user's, of the size asked for, or the largest that pays; tried on real examples first."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.api.reading import Reading
from engram.core import machine
from engram.core.errors import ConfigError, EngramError, unknown
from engram.core.units import format_count
from engram.data.examples import namespace
from engram.models import build
from engram.predict.answering import answer
from engram.train.measure import Cost, measure
from engram.train.plan import Plan
from engram.train.trainer import place

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Worth:
    """From when on a larger network pays (LOG.md, 2026-11-22).

    rows: to learn from (see `rows_seen`); on fewer the smaller one does as well. passes: over the data, or, where
    the data are many, examples seen.
    """

    rows: int
    passes: float
    examples: int


WORTH = {
    "medium": Worth(rows=10_000, passes=6, examples=320_000),
    "large": Worth(rows=50_000, passes=40, examples=4_000_000),
}

INITIALISING_VALUES = 10_000_000
"""Numbers that a network is initialised from: 66 photos of 224 px have 200,000 patches, which take 300 MB."""


def choose(
    reading: Reading,
    plan: Plan,
    *,
    size: str | None,
    model: Any,
    settings: Mapping[str, Any],
    seconds_left: Callable[[Cost], float],
) -> tuple[nn.Module, Cost]:
    """The user's network, the size asked for, or the largest size that has the time to pay; and what it costs.

    seconds_left: the time to train that a network of such a cost would have. `plan` takes the network's numbers.
    """
    if size is not None and size not in SIZES:
        raise unknown("size", size, SIZES)
    features = namespace(reading.examples.features)
    if model is not None:
        network = build.from_user(model, offered=_offered(features))
        plan.explain("size", "yours", f"your own network, {_parameters(network)} parameters")
        cost = _users_cost(reading, network, plan, settings)
        _fit_memory(plan, cost)
        return network, cost
    network = reading.task.model(size or SIZES[0], features)
    cost = _cost(reading, network, plan, settings)
    plan.explain(
        "size", size or SIZES[0], "named by you" if size else f"{_parameters(network)} parameters, for quick learning"
    )
    if size is None and math.isfinite(seconds_left(cost)):
        network, cost = _larger(reading, plan, network, cost, settings, seconds_left)
    _apply(plan, network, settings)
    _fit_memory(plan, cost)
    return network, cost


def _fit_memory(plan: Plan, cost: Cost) -> None:
    if cost.micro_batch < plan.micro_batch:
        plan.explain("micro_batch", cost.micro_batch, "as many as memory was found to hold; the rest accumulates")


def _larger(
    reading: Reading,
    plan: Plan,
    network: nn.Module,
    cost: Cost,
    settings: Mapping[str, Any],
    seconds_left: Callable[[Cost], float],
) -> tuple[nn.Module, Cost]:
    """Go up the sizes as long as the next one has the data and the time to pay."""
    rows = len(reading.examples.splits["train"])
    for size, worth in WORTH.items():
        if rows_seen(reading) < worth.rows:
            break
        larger = reading.task.model(size, namespace(reading.examples.features))
        larger_cost = _cost(reading, larger, plan, settings)
        seen = seconds_left(larger_cost) / larger_cost.step * plan.batch_size
        if seen / rows < worth.passes and seen < worth.examples:
            break
        network, cost = larger, larger_cost
        reason = f"{_parameters(network)} parameters: the budget allows {seen / rows:.0f} passes over the data"
        plan.explain("size", size, reason)
    return network, cost


def _apply(plan: Plan, network: nn.Module, settings: Mapping[str, Any]) -> None:
    """The numbers that a network comes with, then those that the user set."""
    for name, value in getattr(network, "recipe", {}).items():
        plan.explain(name, value, "found best for this network")
    plan.override(settings)
    plan.micro_batch = min(plan.micro_batch, plan.batch_size)


def _cost(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    _apply(plan, network, settings)
    cost = measure(reading.task, network, reading.examples, plan, augmentation=_preferred(reading))
    return dataclasses.replace(cost, step=cost.step / machine.num_processes())  # which share each step


def _preferred(reading: Reading) -> Any:
    """The augmentation that the task would choose without a trial; None where it has none."""
    ways = reading.task.augmentations(namespace(reading.examples.features), passes=1.0)
    return next(iter(ways.values()), None)


def rows_seen(reading: Reading) -> int:
    """How many rows there are to learn from, as far as their number matters: each counts as often as it looks new."""
    return len(reading.examples.splits["train"]) * getattr(_preferred(reading), "variety", 1)


def _users_cost(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    """Try a user's network on one real batch; if it fails with pictures laid channels last, lay them plainly."""
    try:
        return _tried(reading, network, plan, settings)
    except EngramError:
        raise
    except RuntimeError as failed:
        first = failed
    except Exception as failed:  # whatever the user's own code raises
        raise _does_not_fit(reading, failed) from failed
    plan.explain("channels_last", False, f"your network cannot take it ({str(first).splitlines()[0]})")
    try:
        return _tried(reading, network, plan, settings)
    except Exception as failed:
        raise _does_not_fit(reading, failed) from failed


def _tried(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    cost = _cost(reading, network, plan, settings)
    _check_output(reading, network, plan)
    return cost


def _check_output(reading: Reading, network: nn.Module, plan: Plan) -> None:
    """Let a copy of a network answer for two examples; ValueError where the answer is not of the shape it should be."""
    expected = _offered(namespace(reading.examples.features))["num_classes"]
    if expected is None:
        return
    batch = reading.examples.batch(np.resize(reading.examples.splits["train"], 2))
    output, _ = answer(reading.task, place(copy.deepcopy(network), plan).eval(), batch)
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if found != (2, expected):
        raise ValueError(f"for two examples it gave {found}, not (2, {expected})")


def _does_not_fit(reading: Reading, error: Exception) -> ConfigError:
    offered = _offered(namespace(reading.examples.features))
    return ConfigError(
        f"expected a network that takes inputs of shape (batch, {', '.join(map(str, offered['input_shape'] or ()))}) "
        f"and gives {offered['num_classes']} outputs an example; on one real batch it failed: {error}"
    )


def _offered(features: Any) -> dict[str, Any]:
    """What a user's factory may ask for by name."""
    inputs = next(iter(vars(features).values()))
    return {
        "input_shape": getattr(inputs, "shape", None),
        "num_classes": getattr(getattr(features, "label", None), "size", None),
        "features": features,
    }


def initialise(network: nn.Module, reading: Reading) -> None:
    """Let a network set what it derives from data (such as whitening) from some training examples."""
    begin: Any = getattr(network, "initialise", None)
    if begin is None:
        return
    rows, values = reading.examples.splits["train"], values_seen(reading)
    number = min(len(rows), 3000, max(64, INITIALISING_VALUES // values))
    some = rows[np.linspace(0, len(rows) - 1, number).astype(np.int64)]
    batch = reading.examples.batch(some, roles=list(reading.task.inputs))
    begin(*(getattr(batch, role) for role in reading.task.inputs))


def values_seen(reading: Reading) -> int:
    """How many numbers the network sees of one example."""
    return sum(int(np.prod(f.shape)) for f in reading.examples.features.values() if hasattr(f, "shape")) or 1


def _parameters(network: nn.Module) -> str:
    return format_count(sum(p.numel() for p in network.parameters()))
