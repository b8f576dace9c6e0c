"""`train`: from data to a training that can begin, within one deadline; what comes then is in `fitting.py`."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

import engram
from engram.api import fitting, floors, networks, planning, reading, resuming
from engram.api.bringing import Brought
from engram.api.fitting import Trained, Training
from engram.api.recording import recording, refuse_if_in_use
from engram.api.wishing import known_wishes
from engram.core import durable, events, machine, tensors
from engram.core import wishes as wish
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, Stopped
from engram.core.rundir import FIXES, RunDirectory, fresh
from engram.core.units import format_duration
from engram.data import doctor, store
from engram.data import fixes as data_fixes
from engram.features import saved
from engram.models import build
from engram.predict.checking import checked
from engram.tasks.own_step import OwnFunction
from engram.train import distributed
from engram.train.callbacks.callback import Callback

CHECKING = 2.0
"""Seconds that checks of a network of the user's own may take, and no more than a small share of the budget."""


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
    recipe: str = "standard",
    start_from: str | Path | RunDirectory | None = None,
    resume: str | Path | RunDirectory | None = None,
    apply: str | Path | None = None,
    settings: dict[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    step: OwnFunction | None = None,
    metrics: Sequence[Any] | None = None,
    validation: Any = None,
    collate: Any = None,
    deterministic: bool = False,
    report: bool = True,
    started: float | None = None,
    **wishes: Any,
) -> Trained:
    """Learn from `data` and leave a run directory behind.

    budget: seconds, or "90s", "10m", "2h": an upper bound for everything. epochs, steps: instead of a budget. model: an
    `nn.Module`, a factory, or "FILE:NAME". size: "small", "medium", "large". recipe: "standard", or "plain" for the
    loop one would have written by hand. start_from: a run or a .safetensors file to take weights from. resume: the
    folder of a run that was stopped; only `budget` may be changed, and what a run does not keep (Python objects: data,
    model, step, callbacks) is handed over again. apply: a CSV file of fixes, as `inspect` writes it, which make a view
    of the data; the run keeps a copy. settings: numbers of the plan by name. callbacks: what is done between the steps,
    beside what the engine does. started: `time.monotonic()` when the command began. step, metrics, validation, collate,
    deterministic: see `engram.api.bringing.Brought`. wishes: how features are to see the data, such as
    tokenizer="words" or horizon=96 (`engram train --help` lists them). report: False leaves out what tells how
    good the run is, and gives a run that answers and no more: no rows are set aside for a test, nothing is scored,
    neither answers nor prepared data are kept, and no report is written.

    Raises the errors of `engram.core.errors`; `Stopped` after a signal, with everything saved.
    """
    began = time.monotonic() if started is None else started
    brought = Brought(step, metrics, validation, collate, deterministic)
    if not distributed.team().leads:
        return resuming.follow(data=data, brought=brought, model=model, callbacks=callbacks)
    if resume is not None:
        given: dict[str, Any] = {"epochs": epochs, "steps": steps, "out": out, "size": size, "from": start_from}
        given |= {"settings": settings or None, "recipe": None if recipe == "standard" else recipe, "apply": apply}
        given |= wishes
        return resuming.resume(
            checked(resume), data=data, brought=brought, model=model, callbacks=callbacks, budget=budget,
            began=began, given=given,
        )  # fmt: skip
    if data is None:
        raise ConfigError("expected data to learn from; got none. Name a folder, a file or Python objects.")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more; got {seed}")
    limit = planning.time_limit(budget=budget, epochs=epochs, steps=steps)
    planning.refuse_wrong(size=size, model=model, device=device, recipe=recipe, settings=settings)
    deadline = Deadline(limit, began)
    options: dict[str, Any] = {"task": task, "target": target, "input": input, "split": split, "group": group}
    options |= {"seed": seed, "test": None if report else False, **wish.checked(wishes, known_wishes())}
    brought.refuse_wrong({**options, "apply": apply}, model=model)
    run = _run_for(data, out)
    wishes = {"epochs": epochs, "steps": steps, "size": size, "model": model, "device": device, "settings": settings}
    with recording(run) as record, machine.keeping_memory(), nullcontext() if report else store.forgetting():
        run.check_free()  # again, as it is only now that nobody else writes there
        record.cut_back(0)
        if budget is None and limit is not None:
            events.note(f"The budget is {format_duration(limit)}; another is set with --budget.")
        with _leaving_nothing_behind(run):
            run.clear()
            fixes = data_fixes.read(apply) if apply is not None else None
            read = brought.read(data, {**options, "apply": fixes}, deadline=deadline)
            _stop_if_unusable(read)
            planning.follow_recipe(read, recipe)
            fitted, refit = _fit_floors(read, deadline)
            planned = planning.make_plan(read, deadline, seed=seed, recipe=recipe, refit=refit, report=report, **wishes)
            planning.announce(planned, read)
            durable.check_room(run.path, planned.plan.predicted_disk)
            networks.initialise(planned.network, read)
            if start_from is not None:
                _start_from(planned.network, start_from)
            checks = _checks(planned, read, deadline)
            training = Training.of(run, read, planned, deadline, callbacks, report=report)
            origin = {**options, "data": _place(data), "budget": limit}
            _record(training, fitted, checks=checks, options=origin, used=deadline.elapsed())
        return fitting.fit(training, fitted)


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
                exit_code=fitting.exit_code(error),
            ) from None
        raise


def _fit_floors(read: reading.Reading, deadline: Deadline) -> tuple[dict[str, nn.Module], float]:
    """Fit the floors; return them, and seconds to leave for answers and for fitting one again (0 for none to deliver).

    One that may be delivered is given more: it may be the best there is.
    """
    counts = read.task.calibration is None and not read.task.forecasts  # which are soon made
    may = bool(floors.deliverable(read.task)) and not counts
    most, share = (30.0, 0.15) if may else (6.0, 0.05)
    seconds = min(most, max(0.5, share * deadline.remaining())) if deadline.seconds else floors.UNHURRIED
    began = time.monotonic()
    with events.stage("floors"):
        fitted = floors.fit(read, seconds=seconds)
        refit = time.monotonic() - began
        return fitted, refit + floors.seconds_to_answer(read, fitted) if may else 0.0


def _checks(planned: planning.Planned, read: reading.Reading, deadline: Deadline) -> list[dict[str, Any]]:
    """Check a network of the user's own; return what run.json says of it."""
    seconds = min(CHECKING, 0.03 * deadline.remaining())
    return [vars(one) for one in networks.checked(planned.network, planned.plan, read, seconds=seconds).checks]


def _record(
    training: Training,
    fitted: dict[str, nn.Module],
    *,
    checks: list[dict[str, Any]],
    options: dict[str, Any],
    used: float,
) -> None:
    """Write everything a resume and all later stages need, before the first step; run.json, which makes it a run, last.

    The first checkpoint holds what training begins with, weights that were taken from elsewhere included.
    """
    run, read, planned = training.run, training.read, training.planned
    build.keep_source(planned.network, run)
    if read.view is not None:
        run.write(FIXES, read.view.fixes.content)
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
            "divided": read.divided,
            "reasons": read.reasons,
            "findings": [finding.record() for finding in read.findings],
            "fixes": read.view.record() if read.view is not None else None,
        },
        options={
            **options,
            "report": training.report,
            "after": planned.after,
            "most_steps": planned.most_steps,
            "refit": planned.refit,
        },
        plan=planned.plan.as_dict(),
        checks=checks,
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
