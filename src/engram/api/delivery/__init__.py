"""After training: from trained weights to the delivered module, its scores beside floors, and what the run keeps.

What differs from one kind of answers to another lies in a file a kind; which kind a task's are, `Task.answers` says.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safetensors.torch import save as save_tensors
from torch import nn

from engram.api import floors as fitted_floors
from engram.api.competing import Choice
from engram.api.delivery.forecasts import ForecastKind
from engram.api.delivery.kind import Answered, Exam, Kind
from engram.api.delivery.labels import LabelKind
from engram.api.delivery.numbers import NumberKind
from engram.api.delivery.rankings import RankingKind
from engram.api.delivery.texts import TextKind
from engram.api.delivery.tokens import TokenKind
from engram.api.delivery.trained import batches, mixed, plain
from engram.api.reading import Reading
from engram.core import answers, events
from engram.core.rundir import RunDirectory
from engram.core.task import Task
from engram.evaluate import scored
from engram.evaluate.evaluation import evaluate
from engram.models.delivered import Delivered
from engram.optim.average import reestimate_batchnorm
from engram.predict.answering import class_names
from engram.predict.predictor import Predictor
from engram.train.checkpoint import separate
from engram.train.trainer import Trainer

KINDS: Mapping[type[answers.Answers], Kind] = {
    answers.Answers: Kind(),
    answers.Labels: LabelKind(),
    answers.Numbers: NumberKind(),
    answers.Rankings: RankingKind(),
    answers.Forecasts: ForecastKind(),
    answers.Texts: TextKind(),
    answers.Tokens: TokenKind(),
}


@dataclass(frozen=True)
class Delivery:
    """What came of it. results: split -> scores, as `engram.evaluate.evaluation.evaluate` gives them. predictor:
    answers with what was delivered, as `engram.load` would. choice: where a floor competed with the network."""

    results: dict[str, Any]
    predictor: Predictor
    choice: Choice | None


def kind_of(task: Task) -> Kind:
    """How a task's answers are delivered."""
    return task.answers.among(KINDS)


def deliver(
    run: RunDirectory,
    reading: Reading,
    trainer: Trainer,
    floors: dict[str, nn.Module],
    *,
    refit: float = 0.0,
    report: bool = True,
) -> Delivery:
    """Choose between network, floor and blend, calibrate, score and save.

    refit: seconds in which a floor that counts is fitted again on validation rows too; 0 leaves it as it is. report:
    whether what was answered is scored and kept.
    """
    task, network, kind = reading.task, trainer.model, kind_of(reading.task)
    if trainer.average is not None:
        reestimate_batchnorm(network, lambda batch: plain(trainer, batch), batches(trainer, mixed(trainer)))
    network.eval()
    fitted = kind.fit(reading, trainer, floors)
    module, found = fitted.module, {"val": fitted.val}
    if isinstance(module, Delivered) and module.floor is not None and refit:
        floors = {**floors, module.floor_name: _refitted(reading, module, seconds=refit)}
        fitted_floors.save(run, floors)
    run.write("model.safetensors", save_tensors(separate(module.state_dict())))
    results = {}
    if report:
        if "test" in reading.examples.splits:
            exam = Exam.of(reading, trainer, floors)
            found["test"] = kind.answered(exam, module, reading.examples.splits["test"])
        results = _scores(reading, found)
        outputs = {split: each.outputs for split, each in found.items()}
        kind.keep(run, reading, outputs, {"delivered": module, **floors})
        if task.inputs and task.answers.calibration is None:  # where one is, the answers themselves are kept
            scored.keep(run, outputs, task.metrics, identity=reading.examples.identity)
        _say(results, fitted.choice)
    features, precision = reading.examples.features, trainer.plan.precision
    predictor = Predictor(run, task, features, module.cpu(), network=network, precision=precision)
    return Delivery(results, predictor, fitted.choice)


def _refitted(reading: Reading, module: Delivered, *, seconds: float) -> nn.Module:
    """Fit the floor on validation rows too, now that they have nothing left to choose; deliver several of its kind.

    Scores on validation rows are of the floor before; share and calibration stay as they were found with it, which
    more rows make no worse.
    """
    assert module.floor is not None
    name, until = module.floor_name, time.monotonic() + seconds
    again = fitted_floors.refit(reading, name, module.floor, seconds=seconds)
    several = fitted_floors.several(reading, name, again, seconds=until - time.monotonic())
    module.floor = several.to(module.bias.device)
    return again


def _scores(reading: Reading, found: Mapping[str, Answered]) -> dict[str, Any]:
    """Score what was answered to each split, beside the floors' answers and the network's alone."""
    task, names = reading.task, class_names(reading.task, reading.examples.features)
    return {
        split: evaluate(task, each.outputs, names, floors=each.floors, network=each.network)
        for split, each in found.items()
    }


def _say(results: Mapping[str, Any], choice: Choice | None) -> None:
    """Warn where a floor is as good as the network; where it competed, say what came of it."""
    last = results.get("test") or results["val"]
    for name, against in last["against_floors"].items():
        part = choice is not None and name == choice.floor and choice.chosen != "network"
        if against["verdict"] == "worse" if part else against["verdict"] != "better":
            what = "What is delivered" if part else "The network"
            events.warn(f"{what} is not shown to be better than the floor {name}: {against['sentence']}")
