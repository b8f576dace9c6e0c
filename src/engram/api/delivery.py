"""After training: from trained weights to the delivered module, its scores beside floors, and what the run keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors
from torch import nn

from engram.api import blending, forecasts, keeping
from engram.api import floors as fitted_floors
from engram.api.calibrating import calibrated
from engram.api.competing import Choice
from engram.api.forecasts import delivered_forecast
from engram.api.looking import batches, mixed, plain
from engram.api.numbers import delivered_number
from engram.api.ranking import delivered_ranking
from engram.api.reading import Reading
from engram.core import events
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions, written
from engram.evaluate.evaluation import Outputs, collect, evaluate
from engram.features.text import text_of
from engram.models.delivered import Delivered, NetworkAlone
from engram.models.token_blend import TokenBlend
from engram.optim.average import reestimate_batchnorm
from engram.predict.answering import BATCH_SIZE, class_names
from engram.predict.predictor import Predictor
from engram.train.checkpoint import separate
from engram.train.trainer import Trainer

LEAST_BATCHES = 20
"""Into so many batches validation rows are cut, where outputs are no logits."""


@dataclass(frozen=True)
class Answered:
    """What is delivered, and what it answered by split; beside it the floors, and the network by itself where a floor
    counts. choice: where a floor competed."""

    module: nn.Module
    outputs: dict[str, Outputs]
    beside: dict[str, dict[str, Outputs]]
    by_itself: dict[str, Outputs | None]
    choice: Choice | None


@dataclass(frozen=True)
class Delivery:
    """What came of it. results: split -> scores, as `engram.evaluate.evaluation.evaluate` gives them. predictor:
    answers with what was delivered, as `engram.load` would. choice: where a floor competed with the network."""

    results: dict[str, Any]
    predictor: Predictor
    choice: Choice | None


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
    task, network = reading.task, trainer.model
    if trainer.average is not None:
        reestimate_batchnorm(network, lambda batch: plain(trainer, batch), batches(trainer, mixed(trainer)))
    network.eval()
    if (name := blending.floor_of(task)) is not None:
        answered = _of_tokens(reading, trainer, floors, name)
    else:
        answered = _answered(run, reading, trainer, floors, refit=refit)
    run.write("model.safetensors", save_tensors(separate(answered.module.state_dict())))
    results = _scored(run, reading, answered, floors) if report else {}
    predictor = Predictor(
        run, task, reading.examples.features, answered.module.cpu(), network=network, precision=trainer.plan.precision
    )
    return Delivery(results, predictor, answered.choice)


def _scored(run: RunDirectory, reading: Reading, answered: Answered, floors: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Score answers beside the floors' and the network's alone, and keep them with some examples; return the scores."""
    task, outputs, names = reading.task, answered.outputs, class_names(reading.task, reading.examples.features)
    results = {
        split: evaluate(task, found, names, floors=answered.beside[split], network=answered.by_itself[split])
        for split, found in outputs.items()
    }
    if task.calibration is not None:
        first = next(iter(task.inputs))
        where, digest = reading.roles[first].where, reading.examples.stored[first].digest
        predictions.write(
            run, outputs, names, where=where, digest=digest, traits=lambda rows: keeping.traits(reading, rows)
        )
        keeping.keep(run, reading, outputs)
    if task.sampling is not None:
        keeping.keep_windows(run, reading, outputs)
    if task.forecasts:
        forecasts.keep(run, reading, answered.module, floors)
    if task.writes:
        _keep_written(run, reading, outputs)
    _say(results, answered.choice)
    return results


def _answered(
    run: RunDirectory, reading: Reading, trainer: Trainer, floors: Mapping[str, nn.Module], *, refit: float
) -> Answered:
    """Choose what is delivered by validation rows; where a floor counts in it, fit that again before the test."""
    task, rows = reading.task, reading.examples.splits
    beside = {"val": _beside(reading, floors, "val")}
    module, outputs, choice = _delivered(reading, trainer, floors, beside["val"])
    by_itself = {"val": _by_itself(reading, trainer, module, "val")}
    if isinstance(module, Delivered) and module.floor is not None and refit:
        floors = {**floors, module.floor_name: _refitted(reading, module, seconds=refit)}
        fitted_floors.save(run, floors)
    if "test" in rows:
        outputs["test"] = collect(task, module, reading.examples, rows["test"], precision=trainer.plan.precision)
        beside["test"] = _beside(reading, floors, "test")
        by_itself["test"] = _by_itself(reading, trainer, module, "test")
    return Answered(module, outputs, beside, by_itself, choice)


def _of_tokens(reading: Reading, trainer: Trainer, floors: Mapping[str, nn.Module], name: str) -> Answered:
    """The same for tokens: a floor counts more or less from token to token."""
    examples, precision = reading.examples, trainer.plan.precision
    blend, choice = blending.choose(reading.task, trainer.model, name, floors[name], examples, precision=precision)
    found = {
        split: blending.collect(reading.task, blend, examples, rows, precision=precision)
        for split, rows in examples.splits.items()
        if split != "train"
    }
    beside = {split: {name: answers.floor} for split, answers in found.items()}
    if choice.chosen == "network":
        alone = {split: answers.network for split, answers in found.items()}
        return Answered(trainer.model, alone, beside, dict.fromkeys(found), choice)
    outputs = {split: answers.blend for split, answers in found.items()}
    return Answered(blend, outputs, beside, {split: answers.network for split, answers in found.items()}, choice)


def _keep_written(run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs]) -> None:
    """Write down what was answered beside what was asked and what it should be, scored by the last metric."""
    (source, *_), (target, *_) = reading.task.inputs, reading.task.target

    def texts(role: str) -> Callable[[np.ndarray], list[str]]:
        return lambda rows: [text_of(reading.examples.stored[role], int(row)) for row in rows]

    where, metric = reading.roles[source].where, reading.task.metrics[-1]
    written.write(run, outputs, metric, where=where, source=texts(source), target=texts(target))


def alone(module: nn.Module) -> nn.Module | None:
    """The network of a delivered module by itself, where a floor counts in what it answers; else None."""
    if isinstance(module, TokenBlend):
        return module.network
    return NetworkAlone(module).eval() if isinstance(module, Delivered) and module.floor is not None else None


def _beside(reading: Reading, floors: Mapping[str, nn.Module], split: str) -> dict[str, Outputs]:
    """The floors' answers."""
    rows = reading.examples.splits[split]
    return {name: collect(reading.task, floor, reading.examples, rows) for name, floor in floors.items()}


def _by_itself(reading: Reading, trainer: Trainer, module: nn.Module, split: str) -> Outputs | None:
    """The network's answers without the floor; None where there is no floor in it."""
    network, rows = alone(module), reading.examples.splits[split]
    if network is None:
        return None
    return collect(reading.task, network, reading.examples, rows, precision=trainer.plan.precision)


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


def _delivered(
    reading: Reading, trainer: Trainer, floors: Mapping[str, nn.Module], beside: Mapping[str, Outputs]
) -> tuple[nn.Module, dict[str, Outputs], Choice | None]:
    """What is delivered, and its answers on validation rows: logits are calibrated, numbers get intervals, and other
    outputs stay as they are."""
    task, precision = reading.task, trainer.plan.precision
    if task.calibration == "conformal":
        return delivered_number(reading, trainer, floors, beside)
    if task.calibration is not None:
        return calibrated(reading, trainer, floors, beside, kind=task.calibration)
    if task.ranks:
        return delivered_ranking(reading, trainer, floors)
    if task.forecasts:
        return delivered_forecast(reading, trainer, floors)
    rows = reading.examples.splits["val"]
    size = BATCH_SIZE
    if not task.inputs:  # a step of one's own: where of a batch only the mean is known, many batches have a spread
        size = min(trainer.plan.micro_batch, max(2, len(rows) // LEAST_BATCHES))
    found = collect(task, trainer.model, reading.examples, rows, precision=precision, batch_size=size)
    return trainer.model, {"val": found}, None


def _say(results: dict[str, Any], choice: Choice | None) -> None:
    """Warn where a floor is as good as the network; where it competed, say what came of it."""
    last = results.get("test") or results["val"]
    for name, against in last["against_floors"].items():
        part = choice is not None and name == choice.floor and choice.chosen != "network"
        if against["verdict"] == "worse" if part else against["verdict"] != "better":
            what = "What is delivered" if part else "The network"
            events.warn(f"{what} is not shown to be better than the floor {name}: {against['sentence']}")
