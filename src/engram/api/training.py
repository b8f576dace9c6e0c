"""`train`: every stage from data to a delivered, scored and reported model, within one deadline."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import engram
from engram.api import networks, planning, reading
from engram.api.delivery import deliver, fit_floors
from engram.core import events, machine
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, RunError, Stopped
from engram.core.rundir import FIXES, FORMAT, RunDirectory, fresh, write_atomically
from engram.core.units import format_duration, parse_duration
from engram.data import doctor
from engram.data import fixes as data_fixes
from engram.data.examples import namespace
from engram.features import saved
from engram.models import build
from engram.predict.predictor import Predictor
from engram.train import checkpoint
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.evaluation import Evaluation
from engram.train.callbacks.pacing import Pacing
from engram.train.callbacks.reporting import Reporting
from engram.train.callbacks.sanity import Sanity
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
    start_from: str | Path | None = None,
    resume: str | Path | None = None,
    apply: str | Path | None = None,
    settings: dict[str, Any] | None = None,
    started: float | None = None,
) -> Trained:
    """Learn from `data` and leave a run directory behind.

    budget: seconds, or "90s", "10m", "2h": an upper bound for everything. epochs, steps: instead of a budget.
    model: an `nn.Module`, a factory, or "FILE:NAME". size: "small", "medium", "large". start_from: a run or a
    .safetensors file to take weights from. resume: the folder of a run that was stopped; only `budget` may be
    changed. apply: a CSV file of fixes, as `inspect` writes it, that makes a view of the data; the run keeps a copy.
    settings: numbers of the plan by name. started: `time.monotonic()` when the command began.

    Raises the errors of `engram.core.errors`; `Stopped` after a signal, with everything saved.
    """
    began = time.monotonic() if started is None else started
    if resume is not None:
        given = {
            "data": data,
            "epochs": epochs,
            "steps": steps,
            "out": out,
            "size": size,
            "from": start_from,
            "apply": apply,
        }
        if named := [name for name, value in {**given, "settings": settings or None}.items() if value is not None]:
            raise ConfigError(
                f"expected nothing but a budget beside resume; got {', '.join(named)}. A run goes on as it began: "
                "leave that out, or train another from its weights with --from."
            )
        return _resume(RunDirectory.open(resume), model=model, budget=budget, began=began)
    if data is None:
        raise ConfigError("expected data to learn from; got none. Name a folder, a file or Python objects.")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more; got {seed}")
    limit = planning.time_limit(budget=budget, epochs=epochs, steps=steps)
    deadline = Deadline(limit, began)
    options: dict[str, Any] = {"task": task, "target": target, "input": input, "split": split, "group": group}
    options["seed"] = seed
    name = str(data) if isinstance(data, str | Path) else "run"
    run = RunDirectory(out if out is not None else fresh(Path("runs"), name)).create()
    wishes = {"epochs": epochs, "steps": steps, "size": size, "model": model, "device": device, "settings": settings}
    with _recording(run), machine.keeping_memory():
        if budget is None and limit is not None:
            events.note(f"The budget is {format_duration(limit)}; another is set with --budget.")
        with _leaving_nothing_behind(run):
            fixes = data_fixes.read(apply) if apply is not None else None
            read = reading.read(data, **options, apply=fixes, deadline=deadline)
            _stop_if_unusable(read)
            floors = _floors(read, deadline)
            planned = planning.make_plan(read, deadline, seed=seed, **wishes)
            planning.announce(planned, read)
            networks.initialise(planned.network, read)
            if start_from is not None:
                _start_from(planned.network, start_from)
        _record(run, read, planned, options={**options, "data": _place(data), "budget": limit}, used=deadline.elapsed())
        return _fit(run, read, planned, floors, deadline)


@contextlib.contextmanager
def _leaving_nothing_behind(run: RunDirectory) -> Iterator[None]:
    """Take an empty run away again where the training cannot begin."""
    try:
        yield
    except BaseException:
        (run / "metrics.jsonl").unlink(missing_ok=True)
        run.take_away()
        raise


def _floors(read: reading.Reading, deadline: Deadline) -> dict[str, nn.Module]:
    with events.stage("floors"):
        return fit_floors(read, seconds=min(6.0, max(0.5, 0.05 * deadline.remaining())))


def _fit(
    run: RunDirectory,
    read: reading.Reading,
    planned: planning.Planned,
    floors: dict[str, nn.Module],
    deadline: Deadline,
) -> Trained:
    """Train, deliver, score and report; on from the newest checkpoint if there is one."""
    plan = planned.plan
    saving, evaluation = Checkpointing(run), Evaluation(every=plan.evaluate_every)
    pacing = Pacing(run, lambda: deadline.remaining() - planned.after, most=planned.most_steps)
    trainer = Trainer(
        task=read.task,
        model=planned.network,
        examples=read.examples,
        plan=plan,
        augmentation=read.task.augmentations(namespace(read.examples.features), passes=plan.passes).get(
            plan.augmentation
        ),
        callbacks=[Sanity(), *([pacing] if deadline.seconds else []), evaluation, Reporting(), saving],
    )
    if (newest := checkpoint.load_newest(run)) is not None:
        trainer.restore(newest)
        events.note(f"Going on from step {trainer.pace.step} of {trainer.pace.steps}.")
    with events.stage("training"), saving.catching_signals():
        trainer.fit()
    with events.stage("evaluation"), _saying_how_to_go_on(run):
        results, predictor = deliver(run, read, trainer, floors)
    return _finish(run, results, predictor, deadline, plan)


@contextlib.contextmanager
def _saying_how_to_go_on(run: RunDirectory) -> Iterator[None]:
    """Within the block, after the last checkpoint, a signal to stop loses nothing: say so."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as asked:
        code = asked.code if isinstance(asked, SystemExit) and isinstance(asked.code, int) else 130
        raise Stopped(
            "Stopped before the end of the evaluation; what was learned is saved. "
            f"Go on with: engram train --resume {run}",
            exit_code=code,
        ) from None


def _finish(
    run: RunDirectory, results: dict[str, Any], predictor: Predictor, deadline: Deadline, plan: Plan
) -> Trained:
    """Write the report and the closing facts."""
    from engram.report import build as build_report

    split = "test" if "test" in results else "val"
    run.update_run(status="done", results=results, seconds=round(deadline.elapsed(), 2))
    with events.stage("report"):
        build_report(run, seconds=max(1.0, deadline.remaining()), predictor=predictor)
    seconds = round(deadline.elapsed(), 2)
    run.update_run(seconds=seconds)
    chosen = results[split]
    events.emit(
        "done",
        run=str(run),
        split=split,
        metrics=chosen["metrics"],
        floors=chosen["floors"],
        seconds=seconds,
        predicted_seconds=plan.predicted_seconds,
        report=str(run / "report.html"),
    )
    return Trained(str(run), split, chosen["metrics"], chosen["floors"], seconds, plan.predicted_seconds)


def _resume(run: RunDirectory, *, model: Any, budget: str | float | None, began: float) -> Trained:
    """Go on with a run: the same data, features, plan and network, from its newest checkpoint."""
    facts = run.read_run()
    if facts.get("status") == "done":
        raise RunError(
            f"{run} is complete; there is nothing to resume. Start another from its weights with --from {run}"
        )
    options = dict(facts["options"])
    data, recorded_budget, after, most = (options.pop(k) for k in ("data", "budget", "after", "most_steps"))
    if data is None:
        raise RunError(
            f"{run} was trained on Python objects, which a run does not keep; it cannot be resumed by its folder."
        )
    newest = checkpoint.load_newest(run)
    used = newest.facts["seconds"] + facts["before_seconds"] if newest else 0.0
    left = parse_duration(budget) if budget is not None else recorded_budget and max(10.0, recorded_budget - used)
    deadline = Deadline(left and used + left, began - used)  # seconds count from the first beginning
    _cut_back(run, newest.step if newest else 0)
    with _recording(run), machine.keeping_memory():
        kept = data_fixes.read(run / FIXES) if facts["data"].get("fixes") else None
        read = reading.read(data, **options, apply=kept, deadline=None)
        if read.table.fingerprint != facts["data"]["fingerprint"]:
            raise RunError(
                f"the data of {run} ({data}) has changed since the training began; it cannot go on with other data."
            )
        plan = Plan.from_dict(facts["plan"])
        torch.set_num_threads(plan.threads)  # sums are the same to the last bit only with as many
        torch.manual_seed(plan.seed)
        network = build.from_record(
            facts["network"], run=run, model=model, trust_source=False, features=namespace(read.examples.features)
        )
        networks.initialise(network, read)
        return _fit(run, read, planning.Planned(plan, network, after, most), _floors(read, deadline), deadline)


def _cut_back(run: RunDirectory, step: int) -> None:
    """Drop the events of steps that will be done again."""
    events_before = [event for event in run.read_lines("metrics.jsonl") if event.get("step", 0) <= step]
    run.write_lines("metrics.jsonl", events_before)


def _record(
    run: RunDirectory, read: reading.Reading, planned: planning.Planned, *, options: dict[str, Any], used: float
) -> None:
    """Write everything a resume and all later stages need, before the first step."""
    build.keep_source(planned.network, run)
    if read.view is not None:
        write_atomically(run / FIXES, read.view.fixes.content)
    saved.save(run, read.examples.features, {role: column.name for role, column in read.roles.items()})
    run.update_run(
        format=FORMAT,
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
            "findings": [finding.record() for finding in read.findings],
            "fixes": read.view.record() if read.view is not None else None,
        },
        options={**options, "after": planned.after, "most_steps": planned.most_steps},
        plan=planned.plan.as_dict(),
        before_seconds=round(used, 2),
    )


def _stop_if_unusable(read: reading.Reading) -> None:
    reading.warn([finding for finding in read.findings if finding.severity == "warning"])
    doctor.stop_if_unusable(read.findings)


def _start_from(network: nn.Module, source: str | Path) -> None:
    """Take over the weights whose names and shapes match, and say which did."""
    from safetensors.torch import load_file

    path = Path(source)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"expected a run or a .safetensors file to start from; there is no {path}")
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


@contextlib.contextmanager
def _recording(run: RunDirectory) -> Iterator[None]:
    """Write every event to metrics.jsonl."""
    # A file's name may hold what is no text; JSON has an escape for it, and it is the one that Python writes.
    with open(run / "metrics.jsonl", "a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:

        def write(event: events.Event) -> None:
            if event["event"] != "progress":
                file.write(json.dumps(event, default=_plain, ensure_ascii=False) + "\n")

        with events.listening(write):
            yield


def _place(data: Any) -> str | None:
    """Where data lies, whichever folder a resume is started from; None for data that has no name."""
    if not isinstance(data, str | Path):
        return None
    return str(Path(data).resolve() if Path(data).exists() else data)


def _plain(value: Any) -> Any:
    """A path as text; None for data that has no name."""
    if isinstance(value, str | Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else None
