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
from engram.api.requests import DataRequest, PlanRequest, taken
from engram.core import durable, events, machine, tensors
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, Stopped
from engram.core.rundir import FIXES, RunDirectory, fresh
from engram.core.units import format_duration
from engram.data import doctor, store
from engram.features import saved
from engram.models import build
from engram.predict.checking import checked
from engram.train import distributed
from engram.train.callbacks.callback import Callback

CHECKING = 2.0
"""Seconds that checks of a network of the user's own may take, and no more than a small share of the budget."""


def train(
    data: Any = None,
    *,
    out: str | Path | None = None,
    start_from: str | Path | RunDirectory | None = None,
    resume: str | Path | RunDirectory | None = None,
    callbacks: Sequence[Callback] = (),
    report: bool = True,
    started: float | None = None,
    **options: Any,
) -> Trained:
    """Learn from `data` and leave a run directory behind.

    out: the run directory; None for a new one under runs/. start_from: a run or a .safetensors file to take weights
    from. resume: the folder of a run that was stopped; only `budget` may be changed, and what a run does not keep
    (Python objects: data, model, step, callbacks) is handed over again. callbacks: what is done between the steps,
    beside what the engine does. report: False leaves out what tells how good the run is, and gives a run that answers
    and no more: no rows are set aside for a test, nothing is scored, neither answers nor prepared data are kept, and no
    report is written. started: `time.monotonic()` when the command began. options: how data is read, the training
    planned, and what a step of one's own is; see `engram.api.requests.DataRequest` (task, target, input, split, group,
    seed, apply, and wishes such as horizon=96), `PlanRequest` there (budget, epochs, steps, model, size, device,
    recipe, settings) and `engram.api.bringing.Brought` (step, metrics, validation, collate, deterministic).

    Raises the errors of `engram.core.errors`; `Stopped` after a signal, with everything saved.
    """
    began = time.monotonic() if started is None else started
    wanted, brought = taken(PlanRequest, options), taken(Brought, options)
    if not distributed.team().leads:
        return resuming.follow(data=data, brought=brought, model=wanted.model, callbacks=callbacks)
    asked = DataRequest.of({**options, "test": None if report else False})
    if resume is not None:
        return resuming.resume(
            checked(resume), data=data, brought=brought, asked=asked, wanted=wanted, callbacks=callbacks, began=began,
            given={"out": out, "from": start_from},
        )  # fmt: skip
    if data is None:
        raise ConfigError("expected data to learn from; got none. Name a folder, a file or Python objects.")
    limit = wanted.time_limit()
    deadline = Deadline(limit, began)
    brought.refuse_wrong(asked, model=wanted.model)
    run = _run_for(data, out)
    with recording(run) as record, machine.keeping_memory(), nullcontext() if report else store.forgetting():
        run.check_free()  # again, as it is only now that nobody else writes there
        record.cut_back(0)
        if wanted.budget is None and limit is not None:
            events.note(f"The budget is {format_duration(limit)}; another is set with --budget.")
        with _leaving_nothing_behind(run):
            run.clear()
            read = brought.read(data, asked, deadline=deadline)
            _stop_if_unusable(read)
            planning.follow_recipe(read, wanted.recipe)
            fitted, refit = _fit_floors(read, deadline)
            planned = planning.make_plan(read, deadline, wanted, seed=asked.seed, refit=refit, report=report)
            planning.announce(planned, read)
            durable.check_room(run.path, planned.plan.predicted_disk)
            networks.initialise(planned.network, read)
            if start_from is not None:
                _start_from(planned.network, start_from)
            checks = _checks(planned, read, deadline)
            training = Training.of(run, read, planned, deadline, callbacks, report=report)
            origin = {**asked.record(), "data": _place(data), "budget": limit}
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
    may = bool(read.task.competing) and read.task.answers.refits
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
