"""The plan of a training: from data, budget and machine to every number, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.api import networks
from engram.api.delivery.trained import some
from engram.api.reading import Reading
from engram.api.requests import PlanRequest
from engram.core import events, machine
from engram.core.answers import Answers, Rankings
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError, unknown
from engram.core.units import format_bytes, format_count, format_duration
from engram.data.examples import namespace
from engram.models.delivered import VIEWS
from engram.train import precision
from engram.train.checkpoint import KEPT
from engram.train.measure import Cost
from engram.train.plan import SIZES, Plan
from engram.train.trial import in_small_steps, trial

REPORT_SECONDS, SEALING_SECONDS = 4.5, 0.5
"""Scoring, predictions, report, model card, sealing the run, and the end of the process; without a report."""

REPORT_SHARE, LEAST_REPORT = 0.08, 3.0
"""Of a short budget, the share that these may take, and the least that they need: the report is then shorter."""

RUN_BYTES, ANSWER_BYTES = 20_000_000, 500
"""What a run takes on disk beside weights: the report, pictures kept for it, and what it keeps of each answer."""

WINDOW_SHARE = 0.5
"""Share of free memory in which prepared data is kept at hand; half of it holds the rows that are shuffled together,
the other half those before and after."""

TRIAL_SHARE, LONGEST_TRIAL, MOST_TRIAL_STEPS = 0.06, 0.5, 300
"""Share of the time that trials may take, share of the training where that is far shorter than the time, and the steps
from which one tells no more."""


@dataclass
class Planned:
    """A plan with the network it is for, and what else was decided on the way.

    after: seconds for what comes after training, `refit` of them for fitting a floor again that is delivered.
    """

    plan: Plan
    network: nn.Module
    after: float
    most_steps: int
    refit: float = 0.0


def make_plan(
    reading: Reading,
    deadline: Deadline,
    request: PlanRequest,
    *,
    seed: int = 0,
    refit: float = 0.0,
    report: bool = True,
    try_out: bool = True,
) -> Planned:
    """Decide everything that is not asked for.

    refit: seconds to leave for fitting a floor again. report: whether one is to be written. try_out: False leaves out
    trials (for inspection, which trains nothing).
    """
    settings, told = request.settings or {}, _seconds_telling(deadline) if report else SEALING_SECONDS
    epochs, steps = request.epochs, request.steps
    plan = foundation(reading, device=request.device, seed=seed, recipe=request.recipe)
    torch.manual_seed(seed)

    def seconds_left(cost: Cost) -> float:
        return deadline.remaining() - refit - told - _seconds_answering(reading, cost, views=2)

    network, cost = networks.choose(
        reading, plan, size=request.size, model=request.model, settings=settings, seconds_left=seconds_left
    )
    torch.set_num_threads(plan.threads)
    features, after = namespace(reading.examples.features), refit + told + _seconds_answering(reading, cost, views=2)
    left = seconds_left(cost)
    if left < 5 * cost.step:
        suffices = deadline.elapsed() + after + 100 * cost.step
        raise BudgetError(
            f"expected a budget that leaves time to learn; {format_duration(deadline.elapsed())} are used for reading "
            f"and {format_duration(after)} are needed for evaluation and report. "
            f"Use --budget {math.ceil(suffices)}s or more."
        )
    plan.passes = _passes(reading, plan, cost, seconds=left, epochs=epochs, steps=steps)
    if "augmentation" not in settings:
        candidates = networks.ways(reading, plan, passes=plan.passes)
        _augmentation(reading, plan, candidates, steps=_trial_steps(reading, plan, cost, seconds=left), try_out=try_out)
    elif plan.augmentation not in (known := reading.task.augmentations(features, passes=plan.passes)):
        raise unknown("augmentation", plan.augmentation, known)
    _share(plan)
    if "evaluate_every" not in settings:
        plan.evaluate_every = _evaluate_every(reading, cost, seconds=left)
    if "views" not in settings:
        plan.views = _views(reading, plan.augmentation, cost, seconds=left)
        if len(plan.views) > 1:
            plan.reasons["views"] = "what the network learned to see alike is averaged over"
    after = refit + told + _seconds_answering(reading, cost, views=len(plan.views))
    most = _plan_steps(reading, plan, deadline, cost, after=after, epochs=epochs, steps=steps)
    _predict(reading, plan, network, deadline, cost, after)
    return Planned(plan, network, after, most, refit)


def follow_recipe(reading: Reading, recipe: str) -> None:
    """Leave out of the task and its examples what the plain recipe does not have, such as weights of classes."""
    if recipe == "plain":
        reading.task, reading.examples.importance = reading.task.plain(), None


def foundation(reading: Reading, *, device: str | None, seed: int, recipe: str) -> Plan:
    """Device, precision, layout and batch size: what does not depend on the network."""
    plan = Plan(seed=seed, recipe=recipe)
    chosen = precision.choose_device(device)
    plan.explain("device", str(chosen), "named by you" if device else "the fastest here")
    if recipe != "plain":
        plan.explain("precision", *precision.choose_precision(chosen))
    plan.threads = torch.get_num_threads()
    rows = len(reading.examples.splits["train"])
    size = int(np.clip(2 ** round(math.log2(max(1, rows) / 32)), 32, 512))
    plan.explain("batch_size", min(size, 500), f"suits {format_count(rows)} training examples")
    plan.micro_batch = plan.batch_size
    _window(reading, plan)
    return plan


def _window(reading: Reading, plan: Plan) -> None:
    """Where the prepared data is larger than memory, shuffle as many rows together as a quarter of memory holds."""
    free, stored = machine.free_memory(), reading.examples.stored.values()
    size = sum(values.nbytes for values in stored)
    if size > WINDOW_SHARE * free:
        rows = max(plan.batch_size, int(WINDOW_SHARE / 2 * free / size * max(map(len, stored))))
        plan.explain("window", rows, f"the prepared data ({format_bytes(size)}) is larger than memory holds")


def _seconds_telling(deadline: Deadline) -> float:
    """What a report takes, and all that is told in it."""
    if deadline.seconds is None:
        return REPORT_SECONDS
    return min(REPORT_SECONDS, max(LEAST_REPORT, REPORT_SHARE * deadline.seconds))


def _seconds_answering(reading: Reading, cost: Cost, *, views: int) -> float:
    """What comes after the last step but before a report: the last score, and answers for validation, test and, where
    they are calibrated, some training rows. Where items are ranked, floors take as long as the network."""
    asked = sum(len(rows) for name, rows in reading.examples.splits.items() if name != "train")
    calibrated = reading.task.answers.calibration is not None
    learned_from = len(some(reading.examples.splits["train"])) if calibrated else 0
    ranking = 2 + len(reading.task.floors)  # what is delivered, the network alone, and floors
    views = views if calibrated else reading.task.answers.among({Answers: 1, Rankings: ranking})
    last = cost.score * len(reading.examples.splits["val"])
    return 1.3 * (last + cost.answer * (views * asked + learned_from))


def _share(plan: Plan) -> None:
    """Give each of the processes that train together a part of every batch."""
    processes = machine.num_processes()
    if (part := math.ceil(plan.batch_size / processes)) < plan.micro_batch:
        plan.explain("micro_batch", part, f"each batch is shared by {processes} processes")


def _passes(
    reading: Reading, plan: Plan, cost: Cost, *, seconds: float, epochs: float | None, steps: int | None
) -> float:
    """How often each example will be seen, about."""
    if epochs is not None:
        return epochs
    per_epoch = len(reading.examples.splits["train"]) / plan.batch_size
    possible = min(seconds / cost.step, _most_steps(reading, plan)) if steps is None else steps
    return round(possible / per_epoch, 2)


def _evaluate_every(reading: Reading, cost: Cost, *, seconds: float) -> float:
    """Progress between two evaluations on validation data, so that they take 5 % of the time at most, the last one
    included: for others than that there may be no time."""
    one, most = cost.score * len(reading.examples.splits["val"]), 0.05 * min(seconds, 10 * 3600.0)
    return round(max(0.1, one / (most - one)), 3) if most > one else 1.0


def _most_steps(reading: Reading, plan: Plan) -> int:
    passes = reading.task.most_passes(networks.rows_seen(reading, plan))
    return max(reading.task.least_steps, math.ceil(passes * len(reading.examples.splits["train"]) / plan.batch_size))


def _trial_steps(reading: Reading, plan: Plan, cost: Cost, *, seconds: float) -> int:
    """How many small steps all trials together may take."""
    training = plan.passes * len(reading.examples.splits["train"])
    alone = cost.step * machine.num_processes()  # the others rest during trials
    possible = seconds / alone * plan.batch_size if math.isfinite(seconds) else training
    return int(min(TRIAL_SHARE * possible, LONGEST_TRIAL * training) / in_small_steps(plan).batch_size)


def _augmentation(reading: Reading, plan: Plan, candidates: Mapping[str, Any], *, steps: int, try_out: bool) -> None:
    """Choose how examples may be changed: by trial where the training is long enough and validation rows allow it.

    steps: of all trials together.
    """
    if not candidates:
        return
    preferred = next(iter(candidates))
    steps = min(MOST_TRIAL_STEPS, steps // len(candidates))
    if len(candidates) == 1 or steps < 20 or len(reading.examples.splits.get("val", ())) < 100:
        plan.explain("augmentation", preferred, "suits most data of this kind; there is too little time or data to try")
        return
    if not try_out:
        plan.explain("augmentation", preferred, "to be decided by a trial when training starts")
        return

    def small() -> nn.Module:
        made = reading.task.model(SIZES[0], namespace(reading.examples.features))
        networks.initialise(made, reading)
        return made

    plan.explain("augmentation", *trial(reading.task, small, reading.examples, plan, candidates, steps=steps))


def _views(reading: Reading, augmentation: str, cost: Cost, *, seconds: float) -> tuple[str, ...]:
    """The views an answer is averaged over: those that the network has learned to see alike, where there is time."""
    if reading.task.answers.calibration is None or not augmentation:
        return ("plain",)
    alike = VIEWS if augmentation == "mirrored" else tuple(view for view in VIEWS if "mirror" not in view)
    asked = sum(len(rows) for name, rows in reading.examples.splits.items() if name != "train")
    affordable = cost.answer * asked * len(alike) < 0.03 * min(seconds, 600)
    return alike if affordable else tuple(view for view in alike if view in ("plain", "mirror"))


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
    most = _most_steps(reading, plan)
    fitting = max(1, int((deadline.remaining() - after) / cost.step))
    plan.explain(
        "steps",
        min(most, fitting),
        f"{min(most, fitting) / per_epoch:.1f} passes over the data at {cost.step:.2g} s a step"
        + ("" if fitting <= most else "; more would bring nothing"),
    )
    return most


def _predict(reading: Reading, plan: Plan, network: nn.Module, deadline: Deadline, cost: Cost, after: float) -> None:
    """Predict time, memory and disk."""
    seconds = deadline.elapsed() + plan.steps * cost.step + after
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    example = 4 * reading.examples.num_values()
    # Weights, gradients, two moments and copies; activations of a convolutional network are about 100 inputs deep.
    fixed, free = 600e6 + 6 * weights, machine.free_memory()
    while plan.micro_batch > 1 and fixed + 100 * example * plan.micro_batch > 0.8 * free:
        plan.explain("micro_batch", plan.micro_batch // 2, "fits the memory; the rest of the batch accumulates")
    memory = int(fixed + 100 * example * plan.micro_batch)
    plan.explain("predicted_seconds", round(seconds, 1), "for everything, the report included")
    plan.explain("predicted_memory", memory, f"free are {format_bytes(free)}")
    kept = (5 if plan.optimizer.average_decay else 4) * weights  # weights, two moments, the best ones, the average
    answers = sum(len(rows) for name, rows in reading.examples.splits.items() if name != "train")
    disk = (KEPT + 1) * kept + weights + ANSWER_BYTES * answers + RUN_BYTES
    plan.explain("predicted_disk", int(disk), "the run directory at its largest: three checkpoints while one is saved")


def announce(planned: Planned, reading: Reading) -> None:
    """Tell the plan."""
    rows = {name: len(rows) for name, rows in reading.examples.splits.items()}
    events.emit("plan", task=reading.task.name, rows=rows, plan=planned.plan.described())
