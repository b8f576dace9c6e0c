"""Go on with a run that was stopped: the same data, features, floors, plan and network, from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from engram.api import fitting, networks, planning
from engram.api.bringing import Brought
from engram.api.fitting import Trained, Training
from engram.api.recording import recording
from engram.api.requests import DataRequest, PlanRequest
from engram.core import durable, events, machine
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, RunError
from engram.core.rundir import FIXES, RunDirectory
from engram.core.units import parse_duration
from engram.data.examples import namespace
from engram.models import build
from engram.predict.opening import floors_of
from engram.train import checkpoint, distributed
from engram.train.callbacks.callback import Callback
from engram.train.plan import Plan
from engram.train.trainer import Trainer


def resume(
    run: RunDirectory,
    *,
    data: Any,
    brought: Brought,
    asked: DataRequest,
    wanted: PlanRequest,
    callbacks: Sequence[Callback],
    began: float,
    given: dict[str, Any],
) -> Trained:
    """Go on with a run. given: what else a run keeps, and so must be None; the others as for `train`."""
    facts = run.read_run()
    kept = (facts.get("options") or {"data": str(run)}).get("data")
    given = {"data": data if kept is not None else None, **given}
    named = [name for name, value in given.items() if value is not None]
    if named := [*named, *wanted.named(), *asked.named()]:
        raise ConfigError(
            f"expected nothing but a budget beside resume; got {', '.join(named)}. A run goes on as it began: "
            "leave that out, or train another from its weights with --from."
        )
    if facts["status"] == "done":
        raise RunError(
            f"{run} is complete; there is nothing to resume. Start another from its weights with --from {run}"
        )
    with recording(run) as record, machine.keeping_memory():
        facts = run.read_run()
        if facts["status"] == "delivered":
            with fitting.saying_how_to_go_on(run):
                report = facts["options"].get("report", True)
                return fitting.finish(run, Deadline(None, began - facts["seconds"]), report=report)
        if data is None and kept is None:
            raise RunError(
                f"{run} was trained on Python objects, which a run does not keep. Hand over again what it was trained "
                f"with: engram.train(data, ..., resume={str(run)!r})"
            )
        newest = checkpoint.load_newest(run)
        if newest is None:
            raise RunError(f"expected a checkpoint to go on from; {run / 'checkpoints'} has none. Repeat the training.")
        plan, recorded_budget = _recorded_plan(facts, newest, run), facts["options"]["budget"]
        record.cut_back(newest.facts["recorded"])
        durable.check_room(run.path, plan.predicted_disk - run.size())
        used = newest.facts["seconds"] + facts["before_seconds"]
        left = (
            parse_duration(wanted.budget)
            if wanted.budget is not None
            else recorded_budget and max(10.0, recorded_budget - used)
        )
        deadline = Deadline(left and used + left, began - used)  # seconds count from the first beginning
        training = _reopened(run, newest, deadline, data=data, brought=brought, model=wanted.model, callbacks=callbacks)
        events.note(f"Going on from step {newest.step:,} of {training.trainer.pace.steps:,}.")
        return fitting.fit(training, floors_of(run, training.read.task, training.read.examples.features))


def follow(*, data: Any, brought: Brought, model: Any, callbacks: Sequence[Callback]) -> Trained:
    """Train along with the process that leads, which reads, decides, writes and reports."""
    told = distributed.team().told(None)
    run = RunDirectory.open(told["run"])
    with machine.keeping_memory():
        newest = checkpoint.load_newest(run)
        assert newest is not None, "training begins with a checkpoint"
        training = _reopened(
            run, newest, Deadline(None), data=data, brought=brought, model=model, callbacks=callbacks,
            paced=told["paced"],
        )  # fmt: skip
        with training.saving.catching_signals():
            training.trainer.fit()
    return distributed.team().told(None)


def _reopened(
    run: RunDirectory,
    newest: checkpoint.Checkpoint,
    deadline: Deadline,
    *,
    data: Any,
    brought: Brought,
    model: Any,
    callbacks: Sequence[Callback],
    paced: bool | None = None,
) -> Training:
    """Data, plan, network and trainer as a run has them, at a checkpoint.

    data, brought, model, callbacks: what a run does not keep.
    """
    facts = run.read_run()
    options = facts["options"]
    place, after, most = (options[name] for name in ("data", "after", "most_steps"))
    refit, report = options.get("refit", 0.0), options.get("report", True)
    fixes = run / FIXES if facts["data"].get("fixes") else None
    asked = replace(DataRequest.recorded(options), apply=fixes)
    brought.refuse_wrong(asked, model=model, task=facts["task"])
    plan = _recorded_plan(facts, newest, run)
    read = brought.read(data if place is None else place, asked, deadline=None)
    planning.follow_recipe(read, plan.recipe)
    if read.table.fingerprint != facts["data"]["fingerprint"]:
        raise RunError(
            f"the data of {run} ({read.table.origin}) has changed since the training began; it cannot go on with "
            "other data."
        )
    torch.set_num_threads(plan.threads)  # sums are the same to the last bit only with as many
    torch.manual_seed(plan.seed)
    network = build.from_record(
        facts["network"],
        run=run,
        model=model,
        trust_source=False,
        features=namespace(read.examples.features),
        shapes=build.shapes(newest.tensors, prefix="model/"),
    )
    networks.materialise(network, read)
    planned = planning.Planned(plan, network, after, most, refit)
    training = Training.of(run, read, planned, deadline, callbacks, paced=paced, report=report)
    _restore(training.trainer, newest, run)
    return training


def _recorded_plan(facts: dict[str, Any], newest: checkpoint.Checkpoint, run: RunDirectory) -> Plan:
    """The plan as it was recorded; RunError where another version of engram recorded it, or a checkpoint."""
    try:
        for name in ("recorded", "seconds"):
            float(newest.facts[name])
        return Plan.from_dict(facts["plan"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run} was begun by another version of engram, and cannot be gone on with ({error}).") from None


def _restore(trainer: Trainer, newest: checkpoint.Checkpoint, run: RunDirectory) -> None:
    """Go back to a checkpoint; RunError where it is of another network or another version of engram."""
    try:
        trainer.restore(newest)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise RunError(
            f"expected a checkpoint of this network; that of step {newest.step} in {run} does not fit it ({error}). "
            "Hand over the network that the training began with."
        ) from None
