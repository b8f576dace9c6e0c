"""`train`: every stage from data to a delivered, scored and reported model, within one deadline."""

from __future__ import annotations

import contextlib
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import engram
from engram.api import floors, networks, planning, reading
from engram.api.delivery import deliver
from engram.api.recording import recording, refuse_if_in_use
from engram.core import durable, events, machine, tensors
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, DiskError, Interrupted, LostProcessError, RunError, Stopped
from engram.core.rundir import RunDirectory, fresh
from engram.core.units import format_duration, parse_duration
from engram.data import doctor
from engram.data.examples import namespace
from engram.features import saved
from engram.models import build
from engram.predict.checking import checked
from engram.predict.predictor import Predictor
from engram.train import checkpoint, distributed
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.evaluation import Evaluation
from engram.train.callbacks.pacing import Pacing
from engram.train.callbacks.reporting import Reporting
from engram.train.callbacks.rollback import Rollback
from engram.train.decisions import Decisions
from engram.train.plan import Plan
from engram.train.trainer import Trainer


@dataclass(frozen=True)
class Trained:
    """What a training gave. run: its folder. metrics, floors: name -> {"value", "low", "high"} on `split`."""

    run: str
    split: str
    metrics: dict[str, Any]
    floors: dict[str, Any]
    seconds: float
    predicted_seconds: float


def train(
    data: Any = None,
    *,
    task: str | None = None,
    target: Any = None,
    input: Any = None,
    split: str | None = None,
    group: str | None = None,
    budget: str | float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    model: Any = None,
    size: str | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    seed: int = 0,
    start_from: str | Path | RunDirectory | None = None,
    resume: str | Path | RunDirectory | None = None,
    settings: dict[str, Any] | None = None,
    started: float | None = None,
) -> Trained:
    """Learn from `data` and leave a run directory behind.

    budget: seconds, or "90s", "10m", "2h": an upper bound for everything. epochs, steps: instead of a budget.
    model: an `nn.Module`, a factory, or "FILE:NAME". size: "small", "medium", "large". start_from: a run or a
    .safetensors file to take weights from. resume: the folder of a run that was stopped; only `budget` may be
    changed. settings: numbers of the plan by name. started: `time.monotonic()` when the command began.

    Raises the errors of `engram.core.errors`; `Stopped` after a signal, with everything saved.
    """
    began = time.monotonic() if started is None else started
    if not distributed.team().leads:
        return _follow(data=data, model=model)
    if resume is not None:
        given = {"data": data, "epochs": epochs, "steps": steps, "out": out, "size": size, "from": start_from}
        if named := [name for name, value in {**given, "settings": settings or None}.items() if value is not None]:
            raise ConfigError(
                f"expected nothing but a budget beside resume; got {', '.join(named)}. A run goes on as it began: "
                "leave that out, or train another from its weights with --from."
            )
        return _resume(checked(resume), model=model, budget=budget, began=began)
    if data is None:
        raise ConfigError("expected data to learn from; got none. Name a folder, a file or Python objects.")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more; got {seed}")
    limit = planning.time_limit(budget=budget, epochs=epochs, steps=steps)
    deadline = Deadline(limit, began)
    options: dict[str, Any] = {"task": task, "target": target, "input": input, "split": split, "group": group}
    options["seed"] = seed
    run = _run_for(data, out)
    wishes = {"epochs": epochs, "steps": steps, "size": size, "model": model, "device": device, "settings": settings}
    with recording(run) as record, machine.keeping_memory():
        run.check_free()  # again, as it is only now that nobody else writes there
        record.cut_back(0)
        if budget is None and limit is not None:
            events.note(f"The budget is {format_duration(limit)}; another is set with --budget.")
        with _leaving_nothing_behind(run):
            run.clear()
            read = reading.read(data, **options, deadline=deadline)
            _stop_if_unusable(read)
            fitted = _fit_floors(read, deadline)
            planned = planning.make_plan(read, deadline, seed=seed, **wishes)
            planning.announce(planned, read)
            durable.check_room(run.path, planned.plan.predicted_disk)
            networks.initialise(planned.network, read)
            if start_from is not None:
                _start_from(planned.network, start_from)
            training = _Training.of(run, read, planned, deadline)
            origin = {**options, "data": _place(data), "budget": limit}
            _record(training, fitted, options=origin, used=deadline.elapsed())
        return _fit(training, fitted)


def _run_for(data: Any, out: str | Path | None) -> RunDirectory:
    """Make the run directory; RunError where it holds another run, or is being trained in."""
    if out is None:
        return fresh(Path("runs"), str(data) if isinstance(data, str | Path) else "run")
    refuse_if_in_use(RunDirectory(out))
    return RunDirectory(out).create()


@contextlib.contextmanager
def _leaving_nothing_behind(run: RunDirectory) -> Iterator[None]:
    """Take an empty run away again where the training cannot begin."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):  # the disk may be what failed
            run.clear()
            (run / "metrics.jsonl").unlink(missing_ok=True)
            run.take_away()
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise Stopped(
                "Stopped before the training began; nothing is left behind. Start it again with the same command.",
                exit_code=_exit_code(error),
            ) from None
        raise


def _fit_floors(read: reading.Reading, deadline: Deadline) -> dict[str, nn.Module]:
    with events.stage("floors"):
        return floors.fit(read, seconds=min(6.0, max(0.5, 0.05 * deadline.remaining())))


@dataclass
class _Training:
    """A training that can begin: the trainer with its callbacks, and what it is for."""

    run: RunDirectory
    read: reading.Reading
    planned: planning.Planned
    deadline: Deadline
    trainer: Trainer
    saving: Checkpointing

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        read: reading.Reading,
        planned: planning.Planned,
        deadline: Deadline,
        *,
        paced: bool | None = None,
    ) -> _Training:
        """Put the trainer together as the plan says. paced: whether steps are fitted into the time there is."""
        plan, saving, team = planned.plan, Checkpointing(run), distributed.team()
        ways = read.task.augmentations(namespace(read.examples.features), passes=plan.passes)
        pacing = Pacing(lambda: deadline.remaining() - planned.after, most=planned.most_steps)
        paced = bool(deadline.seconds) if paced is None else paced
        evaluation = Evaluation(every=plan.evaluate_every)
        trainer = Trainer(
            task=read.task,
            model=planned.network,
            examples=read.examples,
            plan=plan,
            augmentation=ways.get(plan.augmentation),
            callbacks=[Rollback(run), *([pacing] if paced else []), Reporting(), evaluation, saving],
            decisions=Decisions.open(run, writing=team.leads),
            team=team,
        )
        return cls(run, read, planned, deadline, trainer, saving)


def _fit(training: _Training, fitted: dict[str, nn.Module]) -> Trained:
    """Train, deliver, score and report."""
    team = training.trainer.team
    team.told({"run": str(training.run), "paced": bool(training.deadline.seconds)})
    with _saying_how_to_go_on(training.run):
        with events.stage("training"), training.saving.catching_signals():
            training.trainer.fit()
        with events.stage("evaluation"):
            results, predictor = deliver(training.run, training.read, training.trainer, fitted)
        seconds = round(training.deadline.elapsed(), 2)
        training.run.seal(status="delivered", delivered=predictor.module.record(), results=results, seconds=seconds)
        trained = _finish(training.run, training.deadline, predictor)
    team.told(trained)
    return trained


def _follow(*, data: Any, model: Any) -> Trained:
    """Train along with the process that leads, which reads, decides, writes and reports."""
    told = distributed.team().told(None)
    run = RunDirectory.open(told["run"])
    with machine.keeping_memory():
        newest = checkpoint.load_newest(run)
        assert newest is not None, "training begins with a checkpoint"
        read, planned = _reopened(run, newest, data=data, model=model)
        training = _Training.of(run, read, planned, Deadline(None), paced=told["paced"])
        _restore(training.trainer, newest, run)
        with training.saving.catching_signals():
            training.trainer.fit()
    return distributed.team().told(None)


@contextlib.contextmanager
def _saying_how_to_go_on(run: RunDirectory) -> Iterator[None]:
    """Within the block a checkpoint is on disk, from which a training that is stopped, or lacks room, goes on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as asked:
        raise Stopped(
            f"Stopped at once; what the last checkpoint holds is saved. Go on with: engram train --resume {run}",
            exit_code=_exit_code(asked),
        ) from None
    except LostProcessError as error:
        raise LostProcessError(
            f"{error} Go on with: engram train --resume {run}, alone or under torchrun with any number of processes"
        ) from None
    except DiskError as error:
        raise DiskError(
            f"{error} The checkpoints before are whole: mend that, then go on with: engram train --resume {run}"
        ) from error


def _exit_code(asked: KeyboardInterrupt | SystemExit) -> int:
    """128 + the number of the signal that asked."""
    if isinstance(asked, SystemExit):
        return asked.code if isinstance(asked.code, int) else 1
    return 128 + (asked.number if isinstance(asked, Interrupted) else signal.SIGINT)


def _finish(run: RunDirectory, deadline: Deadline, predictor: Predictor | None = None) -> Trained:
    """Write the report and the closing facts of a run that is delivered."""
    from engram.report import build as build_report

    with events.stage("report"):
        build_report(run, seconds=max(1.0, deadline.remaining()), predictor=predictor)
    seconds = round(deadline.elapsed(), 2)
    run.update_run(status="done", seconds=seconds)
    facts = run.read_run()
    split = "test" if "test" in facts["results"] else "val"
    chosen, predicted = facts["results"][split], facts["plan"]["predicted_seconds"]
    events.emit(
        "done",
        run=str(run),
        split=split,
        metrics=chosen["metrics"],
        floors=chosen["floors"],
        seconds=seconds,
        predicted_seconds=predicted,
        report=str(run / "report.html"),
    )
    return Trained(str(run), split, chosen["metrics"], chosen["floors"], seconds, predicted)


def _resume(run: RunDirectory, *, model: Any, budget: str | float | None, began: float) -> Trained:
    """Go on with a run: the same data, features, floors, plan and network, from its newest checkpoint."""
    if run.read_run()["status"] == "done":
        raise RunError(
            f"{run} is complete; there is nothing to resume. Start another from its weights with --from {run}"
        )
    with recording(run) as record, machine.keeping_memory():
        facts = run.read_run()
        if facts["status"] == "delivered":
            with _saying_how_to_go_on(run):
                return _finish(run, Deadline(None, began - facts["seconds"]))
        recorded_budget = facts["options"]["budget"]
        if facts["options"]["data"] is None:
            raise RunError(
                f"{run} was trained on Python objects, which a run does not keep; it cannot be resumed by its folder."
            )
        newest = checkpoint.load_newest(run)
        if newest is None:
            raise RunError(f"expected a checkpoint to go on from; {run / 'checkpoints'} has none. Repeat the training.")
        plan = _recorded_plan(facts, newest, run)
        record.cut_back(newest.facts["recorded"])
        durable.check_room(run.path, plan.predicted_disk - run.size())
        used = newest.facts["seconds"] + facts["before_seconds"]
        left = parse_duration(budget) if budget is not None else recorded_budget and max(10.0, recorded_budget - used)
        deadline = Deadline(left and used + left, began - used)  # seconds count from the first beginning
        read, planned = _reopened(run, newest, data=None, model=model)
        training = _Training.of(run, read, planned, deadline)
        _restore(training.trainer, newest, run)
        events.note(f"Going on from step {newest.step} of {training.trainer.pace.steps}.")
        return _fit(training, floors.load(run, read.task, read.examples.features))


def _reopened(
    run: RunDirectory, newest: checkpoint.Checkpoint, *, data: Any, model: Any
) -> tuple[reading.Reading, planning.Planned]:
    """Data, plan and network as a run has them. data: where it was trained on Python objects, those."""
    facts = run.read_run()
    options = dict(facts["options"])
    place, _, after, most = (options.pop(k) for k in ("data", "budget", "after", "most_steps"))
    plan = _recorded_plan(facts, newest, run)
    read = reading.read(data if place is None else place, **options, deadline=None)
    if read.table.fingerprint != facts["data"]["fingerprint"]:
        raise RunError(
            f"the data of {run} ({place}) has changed since the training began; it cannot go on with other data."
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
    return read, planning.Planned(plan, network, after, most)


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


def _record(training: _Training, fitted: dict[str, nn.Module], *, options: dict[str, Any], used: float) -> None:
    """Write everything a resume and all later stages need, before the first step; run.json, which makes it a run, last.

    The first checkpoint holds what training begins with, weights that were taken from elsewhere included.
    """
    run, read, planned = training.run, training.read, training.planned
    build.keep_source(planned.network, run)
    saved.save(run, read.examples.features, {role: column.name for role, column in read.roles.items()})
    floors.save(run, fitted)
    training.saving.save(training.trainer)
    run.seal(
        engram=engram.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        status="training",
        task=read.task.name,
        network=planned.network.record,
        data={
            "origin": read.table.origin,
            "fingerprint": read.table.fingerprint,
            "rows": {name: len(rows) for name, rows in read.examples.splits.items()},
            "reasons": read.reasons,
            "findings": [vars(finding) for finding in read.findings],
        },
        options={**options, "after": planned.after, "most_steps": planned.most_steps},
        plan=planned.plan.as_dict(),
        before_seconds=round(used, 2),
    )


def _stop_if_unusable(read: reading.Reading) -> None:
    reading.warn([finding for finding in read.findings if finding.severity == "warning"])
    doctor.stop_if_unusable(read.findings)


def _start_from(network: nn.Module, source: str | Path | RunDirectory) -> None:
    """Take over the weights whose names and shapes match, and say which did."""
    from safetensors.torch import load_file

    path = Path(str(source))
    path = path / "model.safetensors" if path.is_dir() else path
    try:
        wrong = tensors.not_finite(path, tensors.header(path))
    except (ValueError, OSError) as error:
        raise ConfigError(f"expected a run or a .safetensors file to start from; {path} is none ({error})") from None
    if "NaN" in wrong.values():
        raise ConfigError(f"expected weights to start from; those in {path} hold NaN ({', '.join(list(wrong)[:4])})")
    given = {name.removeprefix("network."): value for name, value in load_file(path).items()}
    own = network.state_dict()
    matched = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not matched:
        raise ConfigError(
            f"no tensor in {path} has the name and shape of one in this network. Is it of another network?"
        )
    network.load_state_dict(matched, strict=False)
    left = sorted(set(own) - set(matched))
    events.note(
        f"{len(matched)} of {len(own)} tensors were taken from {path}"
        + (f"; these start anew: {', '.join(left[:6])}{', ...' if len(left) > 6 else ''}." if left else ".")
    )


def _place(data: Any) -> str | None:
    """Where data lies, whichever folder a resume is started from; None for data that has no name."""
    if not isinstance(data, str | Path):
        return None
    return str(Path(data).resolve() if Path(data).exists() else data)
