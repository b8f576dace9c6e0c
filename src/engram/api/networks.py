"""Which network: the user's, of the size asked for, or the largest that pays; tried on real examples first."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from engram.api.reading import Reading
from engram.core import events, machine
from engram.core.errors import ConfigError, EngramError
from engram.core.task import Worth
from engram.core.units import format_count
from engram.data.examples import namespace
from engram.models import build
from engram.predict.answering import answer
from engram.train import check
from engram.train.measure import Cost, measure
from engram.train.plan import PLAIN, RATES, SET, SIZES, Plan
from engram.train.trainer import place

PLAINEST = {"channels_last": False, "precision": "float32"}
"""What every network can take."""

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
    features = namespace(reading.examples.features)
    if model is not None:
        network = build.from_user(model, offered=_offered(features))
        materialise(network, reading)
        plan.explain("size", "yours", f"your own network, {_parameters(network)} parameters")
        cost = _users_cost(reading, network, plan, settings)
        for name in (each.name for each in dataclasses.fields(plan.optimizer)):
            if plan.optimizer.muon_learning_rate or name not in ("muon_momentum", "rotate"):
                plan.reasons.setdefault(f"optimizer.{name}", "usual; your network brings no number of its own")
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
    for size, worth in reading.task.sizes.items():
        if rows_seen(reading, plan) < worth.rows or not _pays(cost, worth, rows, plan, seconds_left):
            break  # what the smaller one has no time for, a larger one has not either
        larger = reading.task.model(size, namespace(reading.examples.features))
        larger_cost = _cost(reading, larger, plan, settings)
        if not _pays(larger_cost, worth, rows, plan, seconds_left):
            break
        network, cost = larger, larger_cost
        passes = _seen(cost, plan, seconds_left) / rows
        reason = f"{_parameters(network)} parameters: the budget allows {passes:.0f} passes over the data"
        plan.explain("size", size, reason)
    return network, cost


def _seen(cost: Cost, plan: Plan, seconds_left: Callable[[Cost], float]) -> float:
    """How many examples are learned from in the time there is, each as often as it comes."""
    return seconds_left(cost) / cost.step * plan.batch_size


def _pays(cost: Cost, worth: Worth, rows: int, plan: Plan, seconds_left: Callable[[Cost], float]) -> bool:
    """Whether there is time to see as many examples as a size is worth having from."""
    seen = _seen(cost, plan, seconds_left)
    return seen / rows >= worth.passes or seen >= worth.examples


def _apply(plan: Plan, network: nn.Module, settings: Mapping[str, Any]) -> None:
    """The numbers of the recipe or those that a network comes with, then those that the user set."""
    plain = plan.recipe == "plain"
    for name, value in (PLAIN if plain else getattr(network, "recipe", {})).items():
        plan.explain(name, value, "the plain recipe" if plain else "found best for this network")
    plan.override(settings)
    for name in RATES:
        if name not in settings and (plain or name not in getattr(network, "recipe", {})):
            plan.explain(name, plan.optimizer.learning_rate, "as optimizer.learning_rate")
    plan.micro_batch = min(plan.micro_batch, plan.batch_size)


def ways(reading: Reading, plan: Plan, *, passes: float) -> dict[str, Any]:
    """The task's ways to change examples, the preferred one first; none in the plain recipe."""
    if plan.recipe == "plain":
        return {}
    return reading.task.augmentations(namespace(reading.examples.features), passes=passes)


def _cost(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    _apply(plan, network, settings)
    cost = measure(reading.task, network, reading.examples, plan, augmentation=_preferred(reading, plan))
    return dataclasses.replace(cost, step=cost.step / machine.num_processes())  # which share each step


def _preferred(reading: Reading, plan: Plan) -> Any:
    """The augmentation that the task would choose without a trial; None where there is none."""
    return next(iter(ways(reading, plan, passes=1.0).values()), None)


def rows_seen(reading: Reading, plan: Plan) -> int:
    """How many rows there are to learn from, as far as their number matters: each counts as often as it looks new."""
    return len(reading.examples.splits["train"]) * getattr(_preferred(reading, plan), "variety", 1)


def _users_cost(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    """Try a user's network on one real batch; of layout and precision, what it cannot take is turned off and said."""
    _apply(plan, network, settings)
    wanted = {"channels_last": plan.channels_last, "precision": plan.precision}
    failures: list[Exception] = []
    for changes in ({}, {"channels_last": False}, {"precision": "float32"}, PLAINEST):
        if failures and (changes.items() <= wanted.items() or changes.keys() & settings.keys()):
            continue
        for name, value in {**wanted, **changes}.items():
            setattr(plan, name, value)
        try:
            cost = _cost(reading, network, plan, settings)
            _check_output(reading, network, plan)
        except EngramError:
            raise
        except Exception as failed:  # whatever the user's own code raises
            failures.append(failed)
            continue
        for name in (name for name in changes if changes[name] != wanted[name]):
            plan.explain(name, changes[name], f"your network cannot take {wanted[name]}")
            why = str(failures[0]).strip().partition("\n")[0]
            events.note(f"{name} is {changes[name]}: your network cannot take {wanted[name]} ({why}).")
        return cost
    raise _does_not_fit(reading, network, plan, failures[-1]) from failures[-1]


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


def _does_not_fit(reading: Reading, network: nn.Module, plan: Plan, error: Exception) -> ConfigError:
    offered = _offered(namespace(reading.examples.features))
    shape, classes = offered["input_shape"], offered["num_classes"]
    expected = "a network that its step can train on the examples given"
    if shape is not None and classes is not None:
        expected = (
            f"a network that takes inputs of shape (batch, {', '.join(map(str, shape))}) and gives {classes} outputs "
            "an example"
        )
    batch = reading.examples.batch(reading.examples.splits["train"][: plan.micro_batch])
    found = check.failure(reading.task, place(copy.deepcopy(network), plan), batch.to(plan.device, channels_last=False))
    return ConfigError(f"expected {expected}; on one real batch it failed: {found or error}")


def _offered(features: Any) -> dict[str, Any]:
    """What a user's factory may ask for by name."""
    inputs = next(iter(vars(features).values()), None)
    return {
        "input_shape": getattr(inputs, "shape", None),
        "num_classes": getattr(getattr(features, "label", None), "size", None),
        "features": features,
    }


def checked(network: nn.Module, plan: Plan, reading: Reading, *, seconds: float) -> check.Checked:
    """Check a network of the user's own in the first minute, and tell; engram's own keep their contract in tests."""
    if "factory" not in network.record:  # type: ignore[operator]
        return check.Checked()
    found = check.check(reading.task, network, reading.examples, plan, seconds=seconds)
    check.tell(found)
    asked_for = plan.reasons.get("precision") == SET
    if not asked_for and any(one.name == "bfloat16" and one.verdict == "warning" for one in found.checks):
        plan.explain("precision", "float32", "in bfloat16 the gradients of your network point elsewhere")
        events.note("precision is float32: in bfloat16 the gradients of your network point elsewhere.")
    return found


def materialise(network: nn.Module, reading: Reading) -> None:
    """Give layers that take their width from the first batch (`nn.LazyLinear`) that batch."""
    if any(map(is_lazy, [*network.parameters(), *network.buffers()])):
        batch = reading.examples.batch(reading.examples.splits["train"][:2])
        with torch.no_grad(), check.explaining(network, batch):
            reading.task.step(network.eval(), batch)
        network.train()


def initialise(network: nn.Module, reading: Reading) -> None:
    """Let a network set what it derives from data (such as whitening) from some training examples."""
    begin: Any = getattr(network, "initialise", None)
    if begin is None:
        return
    rows, roles = reading.examples.splits["train"], list(reading.task.inputs)
    number = min(len(rows), 3000, max(64, INITIALISING_VALUES // reading.examples.num_values()))
    some = rows[np.linspace(0, len(rows) - 1, number).astype(np.int64)]
    batch = reading.examples.batch(some, roles=roles)
    begin(*(getattr(batch, role) for role in roles or ["examples"]))  # a step of one's own: whole examples


def _parameters(network: nn.Module) -> str:
    return format_count(sum(p.numel() for p in network.parameters()))
