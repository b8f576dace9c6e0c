"""The plan of a training: from data, budget and machine to every number, each with its reason."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.api.reading import Reading
from engram.core import events, machine
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError, ConfigError, EngramError, unknown
from engram.core.units import format_bytes, format_count, format_duration, parse_duration
from engram.data.examples import namespace
from engram.models import build
from engram.predict.answering import answer
from engram.train import precision
from engram.train.measure import Cost, measure
from engram.train.plan import Plan
from engram.train.trainer import place
from engram.train.trial import trial

BUDGET = 600.0
"""Seconds a training may take where nobody says otherwise."""

SIZES = ("small", "medium", "large")
EPOCHS_WORTH = {"medium": 10, "large": 40}
"""Passes over the data from which the larger network overtakes the smaller one (LOG.md, 2026-11-22)."""

MOST_EPOCHS = 200
LEAST_STEPS = 3000
"""Training ends after so many epochs, or steps if those are more: further ones change nothing but the time."""

REPORT_SECONDS = 7.0
"""Writing predictions, report and model card."""

INITIALISING_VALUES = 10_000_000
"""Numbers that a network is initialised from: 66 photos of 224 px have 200,000 patches, which take 300 MB."""

TRIAL_SHARE = 0.06
"""Share of the training time that trials may take."""


@dataclass
class Planned:
    """A plan with the network it is for, and what else was decided on the way."""

    plan: Plan
    network: nn.Module
    after: float
    most_steps: int


def time_limit(*, budget: str | float | None, epochs: float | None, steps: int | None) -> float | None:
    """Return the seconds that everything may take; None where the length is given in epochs or steps.

    ConfigError where several are given, or one is no positive number.
    """
    if sum(value is not None for value in (budget, epochs, steps)) > 1:
        raise ConfigError("expected one of budget, epochs and steps; got several. Give one of them.")
    if epochs is not None and not 0 < epochs < math.inf:
        raise ConfigError(f"expected a number of epochs above zero, such as 10; got {epochs}")
    if steps is not None and (steps != int(steps) or steps < 1):
        raise ConfigError(f"expected a whole number of steps, 1 or more; got {steps}")
    if budget is not None:
        return parse_duration(budget)
    return BUDGET if epochs is None and steps is None else None


def make_plan(
    reading: Reading,
    deadline: Deadline,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    size: str | None = None,
    model: Any = None,
    device: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    try_out: bool = True,
) -> Planned:
    """Decide everything. `try_out` False leaves out trials (for inspection, which trains nothing)."""
    if size is not None and size not in SIZES:
        raise unknown("size", size, SIZES)
    plan = _foundation(reading, device=device, seed=seed)
    torch.manual_seed(seed)
    network, cost = _network(reading, plan, deadline, size=size, model=model, settings=settings or {})
    after = _seconds_after(reading, cost, views=2)
    left = deadline.remaining() - after
    if left < 5 * cost.step:
        suffices = deadline.elapsed() + after + 100 * cost.step
        raise BudgetError(
            f"expected a budget that leaves time to learn; {format_duration(deadline.elapsed())} are used for reading "
            f"and {format_duration(after)} are needed for evaluation and report. "
            f"Use --budget {math.ceil(suffices)}s or more."
        )
    plan.passes = _passes(reading, plan, cost, seconds=left, epochs=epochs, steps=steps)
    candidates = reading.task.augmentations(namespace(reading.examples.features), passes=plan.passes)
    if "augmentation" not in (settings or {}):
        _augmentation(reading, plan, candidates, cost=cost, seconds=left, try_out=try_out)
    elif plan.augmentation not in candidates:
        raise unknown("augmentation", plan.augmentation, candidates)
    plan.evaluate_every = _evaluate_every(reading, cost, seconds=left)
    plan.views = _views(reading, plan.augmentation, cost, seconds=left)
    plan.reasons["views"] = "what the network learned to see alike is averaged over"
    after = _seconds_after(reading, cost, views=len(plan.views))
    most = _plan_steps(reading, plan, deadline, cost, after=after, epochs=epochs, steps=steps)
    _predict(reading, plan, network, deadline, cost, after)
    return Planned(plan, network, after, most)


def _foundation(reading: Reading, *, device: str | None, seed: int) -> Plan:
    """Device, precision, layout and batch size: what does not depend on the network."""
    plan = Plan(seed=seed)
    chosen = precision.choose_device(device)
    plan.explain("device", str(chosen), "named by you" if device else "the fastest here")
    plan.explain("precision", *precision.choose_precision(chosen))
    plan.threads = torch.get_num_threads()
    rows = len(reading.examples.splits["train"])
    size = int(np.clip(2 ** round(math.log2(max(1, rows) / 16)), 32, 512))
    plan.explain("batch_size", min(size, 500), f"suits {format_count(rows)} training examples")
    plan.micro_batch = plan.batch_size
    return plan


def _network(
    reading: Reading, plan: Plan, deadline: Deadline, *, size: str | None, model: Any, settings: Mapping[str, Any]
) -> tuple[nn.Module, Cost]:
    """The user's network, the size asked for, or the largest size that has the time to pay."""
    features = namespace(reading.examples.features)
    if model is not None:
        network = build.from_user(model, offered=_offered(features))
        plan.explain("size", "yours", f"your own network, {_parameters(network)} parameters")
        return network, _users_cost(reading, network, plan, settings)
    chosen = SIZES[0] if size is None else size
    network = reading.task.model(chosen, features)
    cost = _cost(reading, network, plan, settings)
    reason = "named by you"
    if size is None:
        reason = f"{_parameters(network)} parameters, for quick learning"
        for larger in SIZES[1:]:
            bigger = reading.task.model(larger, features)
            if not math.isfinite(deadline.remaining()):
                break
            bigger_cost = _cost(reading, bigger, plan, settings)
            left = deadline.remaining() - _seconds_after(reading, bigger_cost, views=2)
            possible = left / bigger_cost.step * plan.batch_size / len(reading.examples.splits["train"])
            if possible < EPOCHS_WORTH[larger]:
                break
            network, cost, chosen = bigger, bigger_cost, larger
            reason = f"{_parameters(network)} parameters: the budget allows {possible:.0f} passes over the data"
    plan.explain("size", chosen, reason)
    _apply(plan, network, settings)
    return network, cost


def _apply(plan: Plan, network: nn.Module, settings: Mapping[str, Any]) -> None:
    """The numbers that a network comes with, then those that the user set."""
    for name, value in getattr(network, "recipe", {}).items():
        plan.explain(name, value, "found best for this network")
    plan.override(settings)
    plan.micro_batch = min(plan.micro_batch, plan.batch_size)


def _cost(reading: Reading, network: nn.Module, plan: Plan, settings: Mapping[str, Any]) -> Cost:
    _apply(plan, network, settings)
    ways = reading.task.augmentations(namespace(reading.examples.features), passes=1.0)
    return measure(reading.task, network, reading.examples, plan, augmentation=next(iter(ways.values()), None))


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


def _seconds_after(reading: Reading, cost: Cost, *, views: int) -> float:
    """What comes after training: answers for validation, test and some training rows, then the report."""
    asked = sum(len(rows) for name, rows in reading.examples.splits.items() if name != "train")
    learned_from = min(10_000, len(reading.examples.splits["train"]))
    return REPORT_SECONDS + 1.3 * cost.answer * (views * asked + 2 * learned_from)


def _passes(
    reading: Reading, plan: Plan, cost: Cost, *, seconds: float, epochs: float | None, steps: int | None
) -> float:
    """How often each example will be seen, about."""
    if epochs is not None:
        return epochs
    per_epoch = len(reading.examples.splits["train"]) / plan.batch_size
    possible = min(seconds / cost.step, _most_steps(per_epoch)) if steps is None else steps
    return round(possible / per_epoch, 1)


def _evaluate_every(reading: Reading, cost: Cost, *, seconds: float) -> float:
    """Progress between two evaluations on validation data, so that they take 5 % of the time at most."""
    share = cost.answer * len(reading.examples.splits["val"]) / (0.05 * min(seconds, 10 * 3600.0))
    return round(max(0.1, share), 3)


def _most_steps(per_epoch: float) -> int:
    return max(LEAST_STEPS, math.ceil(MOST_EPOCHS * per_epoch))


def _augmentation(
    reading: Reading, plan: Plan, candidates: Mapping[str, Any], *, cost: Cost, seconds: float, try_out: bool
) -> None:
    """Choose how examples may be changed: by trial where time and validation rows allow it."""
    if not candidates:
        return
    preferred, seconds = next(iter(candidates)), min(seconds, 3600.0)
    network = reading.task.model(SIZES[0], namespace(reading.examples.features))
    steps = min(
        200, int(TRIAL_SHARE * seconds / len(candidates) / measure(reading.task, network, reading.examples, plan).step)
    )
    if len(candidates) == 1 or steps < 20 or len(reading.examples.splits.get("val", ())) < 100:
        plan.explain("augmentation", preferred, "suits most data of this kind; there is too little time or data to try")
        return
    if not try_out:
        plan.explain("augmentation", preferred, "to be decided by a trial when training starts")
        return

    def small() -> nn.Module:
        made = reading.task.model(SIZES[0], namespace(reading.examples.features))
        initialise(made, reading)
        return made

    plan.explain("augmentation", *trial(reading.task, small, reading.examples, plan, candidates, steps=steps))


def initialise(network: nn.Module, reading: Reading) -> None:
    """Let a network set what it derives from data (such as whitening) from some training examples."""
    begin: Any = getattr(network, "initialise", None)
    if begin is None:
        return
    rows, values = reading.examples.splits["train"], _values(reading)
    number = min(len(rows), 3000, max(64, INITIALISING_VALUES // values))
    some = rows[np.linspace(0, len(rows) - 1, number).astype(np.int64)]
    batch = reading.examples.batch(some, roles=list(reading.task.inputs))
    begin(*(getattr(batch, role) for role in reading.task.inputs))


def _views(reading: Reading, augmentation: str, cost: Cost, *, seconds: float) -> tuple[str, ...]:
    """The views an answer is averaged over: those that the network has learned to see alike, where there is time."""
    if reading.task.calibration is None or not augmentation:
        return ("plain",)
    views = ("plain", "mirror") if augmentation == "mirrored" else ("plain",)
    more = tuple(v if v != "plain" else "" for view in views for v in (view, f"{view}-up-left", f"{view}-down-right"))
    more = tuple(view.removeprefix("plain-") or "plain" for view in more)
    asked = sum(len(rows) for name, rows in reading.examples.splits.items() if name != "train")
    return more if cost.answer * asked * len(more) < 0.03 * min(seconds, 600) else views


def _plan_steps(
    reading: Reading,
    plan: Plan,
    deadline: Deadline,
    cost: Cost,
    *,
    after: float,
    epochs: float | None,
    steps: int | None,
) -> int:
    """Set the number of steps; return the most that a time budget may make of it."""
    per_epoch = len(reading.examples.splits["train"]) / plan.batch_size
    if steps is not None:
        plan.explain("steps", steps, "named by you")
        return steps
    if epochs is not None:
        plan.explain("steps", max(1, math.ceil(epochs * per_epoch)), f"{epochs:g} passes over the data, as you said")
        return plan.steps
    most = _most_steps(per_epoch)
    fitting = max(1, int((deadline.remaining() - after) / cost.step))
    plan.explain(
        "steps",
        min(most, fitting),
        f"{min(most, fitting) / per_epoch:.1f} passes over the data at {cost.step:.2g} s a step"
        + ("" if fitting <= most else "; more would change nothing"),
    )
    return most


def _predict(reading: Reading, plan: Plan, network: nn.Module, deadline: Deadline, cost: Cost, after: float) -> None:
    """Predict time, memory and disk."""
    seconds = deadline.elapsed() + plan.steps * cost.step + after
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    example = 4 * _values(reading)
    # Weights, gradients, two moments and copies; activations of a convolutional network are about 100 inputs deep.
    memory = int(600e6 + 6 * weights + 100 * example * plan.micro_batch)
    plan.explain("predicted_seconds", round(seconds, 1), "for everything, the report included")
    plan.explain("predicted_memory", memory, f"free are {format_bytes(machine.free_memory())}")
    plan.explain("predicted_disk", int(6 * weights + 5e6), "the run directory, checkpoints included")


def _values(reading: Reading) -> int:
    """How many numbers the network sees of one example."""
    return sum(int(np.prod(f.shape)) for f in reading.examples.features.values() if hasattr(f, "shape")) or 1


def _parameters(network: nn.Module) -> str:
    return format_count(sum(p.numel() for p in network.parameters()))


def announce(planned: Planned, reading: Reading) -> None:
    """Tell the plan."""
    rows = {name: len(rows) for name, rows in reading.examples.splits.items()}
    events.emit("plan", task=reading.task.name, rows=rows, plan=planned.plan.described())
