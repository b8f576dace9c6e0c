"""A training that can begin, and how it runs: train, deliver, score, report. New and resumed ones alike."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from engram.api import competing, floors, gain, planning, reading
from engram.api.delivery import deliver
from engram.core import events
from engram.core.deadline import Deadline
from engram.core.errors import DiskError, Interrupted, LostProcessError, Stopped
from engram.core.registry import find
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import namespace
from engram.models.delivered import Delivered
from engram.models.token_blend import TokenBlend
from engram.predict.predictor import Predictor
from engram.train import distributed
from engram.train.callbacks.callback import Callback
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.evaluation import Evaluation
from engram.train.callbacks.gradients import Gradients
from engram.train.callbacks.pacing import Pacing
from engram.train.callbacks.reporting import Reporting
from engram.train.callbacks.rollback import Rollback
from engram.train.decisions import Decisions
from engram.train.trainer import Trainer


@dataclass(frozen=True)
class Trained:
    """What a training gave. run: its folder. metrics, floors: name -> {"value", "low", "high"} on `split`; empty
    where nothing was scored."""

    run: str
    split: str
    metrics: dict[str, Any]
    floors: dict[str, Any]
    seconds: float
    predicted_seconds: float


@dataclass
class Training:
    """A training that can begin: the trainer with its callbacks, and what it is for.

    report: whether it is to be told how good it is.
    """

    run: RunDirectory
    read: reading.Reading
    planned: planning.Planned
    deadline: Deadline
    trainer: Trainer
    saving: Checkpointing
    report: bool = True

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        read: reading.Reading,
        planned: planning.Planned,
        deadline: Deadline,
        callbacks: Sequence[Callback],
        *,
        paced: bool | None = None,
        report: bool = True,
    ) -> Training:
        """Put the trainer together as the plan says.

        callbacks: the user's own. paced: whether steps are fitted into the time there is.
        """
        plan, saving, team = planned.plan, Checkpointing(run), distributed.team()
        ways = read.task.augmentations(namespace(read.examples.features), passes=plan.passes)
        paced = bool(deadline.seconds) if paced is None else paced
        evaluating = Evaluation(every=plan.evaluate_every)
        pacing = [Pacing(lambda: deadline.remaining() - planned.after, most=planned.most_steps)] if paced else []
        trainer = Trainer(
            task=read.task,
            model=planned.network,
            examples=read.examples,
            plan=plan,
            augmentation=ways.get(plan.augmentation),
            callbacks=[Rollback(run), *pacing, Gradients(), Reporting(), evaluating, *callbacks, saving],
            run=run,
            decisions=Decisions.open(run, writing=team.leads),
            team=team,
        )
        return cls(run, read, planned, deadline, trainer, saving, report)


def fit(training: Training, fitted: dict[str, nn.Module]) -> Trained:
    """Train, deliver, score and report."""
    run, read, team = training.run, training.read, training.trainer.team
    team.told({"run": str(run), "paced": bool(training.deadline.seconds)})
    with saying_how_to_go_on(run):
        with events.stage("training"), training.saving.catching_signals():
            training.trainer.fit()
        with events.stage("evaluation"):
            refit = _seconds_to_refit(training)
            delivery = deliver(run, read, training.trainer, fitted, refit=refit, report=training.report)
        predictor, seconds = delivery.predictor, round(training.deadline.elapsed(), 2)
        module, choice = predictor.module, delivery.choice
        delivered = module.record() if isinstance(module, Delivered | TokenBlend) else {}
        competed = vars(choice) if choice is not None else None
        run.seal(status="delivered", delivered=delivered, competed=competed, results=delivery.results, seconds=seconds)
        example = read.examples.batch(read.examples.splits["val"][:1])
        trained = finish(run, training.deadline, predictor, example, report=training.report)
    team.told(trained)
    return trained


def _seconds_to_refit(training: Training) -> float:
    """Seconds in which a floor that is delivered may be fitted again; 0 where there are none."""
    planned, deadline = training.planned.refit, training.deadline
    if deadline.seconds is None:
        return floors.UNHURRIED if planned else 0.0
    return planned if deadline.remaining() > planned + 2 else 0.0


@contextlib.contextmanager
def saying_how_to_go_on(run: RunDirectory) -> Iterator[None]:
    """Within the block a checkpoint is on disk, from which a training that is stopped, or lacks room, goes on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as asked:
        raise Stopped(
            f"Stopped at once; what the last checkpoint holds is saved. Go on with: engram train --resume {run}",
            exit_code=exit_code(asked),
        ) from None
    except LostProcessError as error:
        raise LostProcessError(
            f"{error} Go on with: engram train --resume {run}, alone or under torchrun with any number of processes"
        ) from None
    except DiskError as error:
        raise DiskError(
            f"{error} The checkpoints before are whole: mend that, then go on with: engram train --resume {run}"
        ) from error


def exit_code(asked: KeyboardInterrupt | SystemExit) -> int:
    """128 + the number of the signal that asked."""
    if isinstance(asked, SystemExit):
        return asked.code if isinstance(asked.code, int) else 1
    return 128 + (asked.number if isinstance(asked, Interrupted) else signal.SIGINT)


def finish(
    run: RunDirectory,
    deadline: Deadline,
    predictor: Predictor | None = None,
    example: Batch | None = None,
    *,
    report: bool = True,
) -> Trained:
    """Write the report and the closing facts of a run that is delivered.

    predictor, example: the network at hand, and a batch of one for it. report: False where nothing was scored.
    """
    if not report:
        return _finish_untold(run, deadline)
    from engram.report import SECONDS
    from engram.report import build as build_report

    gained = gain.of_fixes(run)
    run.update_run(gain=gained)
    with events.stage("report"):
        left = max(1.0, min(deadline.remaining(), SECONDS))
        build_report(run, seconds=left, predictor=predictor, example=example)
    seconds = round(deadline.elapsed(), 2)
    run.update_run(status="done", seconds=seconds)
    facts = run.read_run()
    task: Task = find(reading.TASKS, facts["task"], base="task")()
    split = "test" if "test" in facts["results"] else "val"
    chosen, predicted = facts["results"][split], facts["plan"]["predicted_seconds"]
    said = ""
    if (competed := facts.get("competed")) is not None:
        metric = next(iter(chosen["metrics"]))
        said = competing.told(competing.Choice(**competed), chosen, metric)
    events.emit(
        "done",
        run=str(run),
        split=split,
        metrics=chosen["metrics"],
        floors=chosen["floors"],
        network=chosen.get("network"),
        delivered=said,
        seconds=seconds,
        predicted_seconds=predicted,
        asked=task.asked,
        gain=gained,
        report=str(run / "report.html"),
    )
    return Trained(str(run), split, chosen["metrics"], chosen["floors"], seconds, predicted)


def _finish_untold(run: RunDirectory, deadline: Deadline) -> Trained:
    """The closing facts of a run of which nothing is told but that it answers."""
    seconds = round(deadline.elapsed(), 2)
    run.update_run(status="done", seconds=seconds)
    events.note(f"{run} answers; nothing was scored, as asked. engram evaluate {run} DATA scores it.")
    return Trained(str(run), "", {}, {}, seconds, run.read_run()["plan"]["predicted_seconds"])
