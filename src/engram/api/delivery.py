"""After training: from trained weights to the delivered module, its scores beside floors, and what the run keeps.

Shapes: N examples, C classes, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from engram.api import competing, keeping
from engram.api import floors as fitted_floors
from engram.api.competing import Choice
from engram.api.reading import Reading
from engram.core import events
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.evaluate import calibration, unfamiliarity, written
from engram.evaluate.evaluation import Outputs, collect, evaluate
from engram.evaluate.predictions import write as write_predictions
from engram.features.text import text_of
from engram.models.delivered import Delivered, NetworkAlone, hidden_width
from engram.optim.average import reestimate_batchnorm
from engram.predict.answering import BATCH_SIZE, answer, class_names
from engram.predict.predictor import Predictor
from engram.train.checkpoint import separate
from engram.train.trainer import Trainer

LEAST_BATCHES = 20
"""Into so many batches validation rows are cut, where outputs are no logits."""


@dataclass(frozen=True)
class Delivery:
    """What came of it. results: split -> scores, as `engram.evaluate.evaluation.evaluate` gives them. predictor:
    answers with what was delivered, as `engram.load` would. choice: where a floor competed with the network."""

    results: dict[str, Any]
    predictor: Predictor
    choice: Choice | None


def deliver(
    run: RunDirectory, reading: Reading, trainer: Trainer, floors: dict[str, nn.Module], *, refit: float = 0.0
) -> Delivery:
    """Choose between network, floor and blend, calibrate, score and save.

    refit: seconds in which a floor that counts is fitted again on validation rows too; 0 leaves it as it is.
    """
    task, network, rows = reading.task, trainer.model, reading.examples.splits
    if trainer.average is not None:
        reestimate_batchnorm(network, lambda batch: _plain(trainer, batch), _batches(trainer, _mixed(trainer)))
    network.eval()
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
    names = class_names(task, reading.examples.features)
    results = {
        split: evaluate(task, found, names, floors=beside[split], network=by_itself[split])
        for split, found in outputs.items()
    }
    run.write("model.safetensors", save_tensors(separate(module.state_dict())))
    if names:
        first = next(iter(task.inputs))
        where, digest = reading.roles[first].where, reading.examples.stored[first].digest
        write_predictions(
            run, outputs, names, where=where, digest=digest, traits=lambda rows: keeping.traits(reading, rows)
        )
        keeping.keep(run, reading, outputs)
    if task.sampling is not None:
        keeping.keep_windows(run, reading, outputs)
    if task.writes:
        _keep_written(run, reading, outputs)
    _say(results, choice)
    predictor = Predictor(
        run, task, reading.examples.features, module.cpu(), network=network, precision=trainer.plan.precision
    )
    return Delivery(results, predictor, choice)


def _keep_written(run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs]) -> None:
    """Write down what was answered beside what was asked and what it should be, scored by the last metric."""
    (source, *_), (target, *_) = reading.task.inputs, reading.task.target

    def texts(role: str) -> Callable[[np.ndarray], list[str]]:
        return lambda rows: [text_of(reading.examples.stored[role], int(row)) for row in rows]

    where, metric = reading.roles[source].where, reading.task.metrics[-1]
    written.write(run, outputs, metric, where=where, source=texts(source), target=texts(target))


def alone(module: nn.Module) -> nn.Module | None:
    """The network of a delivered module by itself, where a floor counts in what it answers; else None."""
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
    """Fit the floor in what is delivered on validation rows too, now that they have nothing left to choose.

    Scores on validation rows are of the floor before; share and calibration stay as they were found with it, which
    more rows make no worse.
    """
    assert module.floor is not None
    device = module.bias.device
    module.floor = fitted_floors.refit(reading, module.floor_name, module.floor, seconds=seconds).to(device)
    return module.floor


def _delivered(
    reading: Reading, trainer: Trainer, floors: Mapping[str, nn.Module], beside: Mapping[str, Outputs]
) -> tuple[nn.Module, dict[str, Outputs], Choice | None]:
    """What is delivered, and its answers on validation rows: logits are calibrated, other outputs stay as they are."""
    task, precision = reading.task, trainer.plan.precision
    if task.calibration is not None:
        return _calibrated(reading, trainer, floors, beside, kind=task.calibration)
    rows = reading.examples.splits["val"]
    size = BATCH_SIZE
    if not task.inputs:  # a step of one's own: where of a batch only the mean is known, many batches have a spread
        size = min(trainer.plan.micro_batch, max(2, len(rows) // LEAST_BATCHES))
    found = collect(task, trainer.model, reading.examples, rows, precision=precision, batch_size=size)
    return trainer.model, {"val": found}, None


def _calibrated(
    reading: Reading,
    trainer: Trainer,
    floors: Mapping[str, nn.Module],
    beside: Mapping[str, Outputs],
    *,
    kind: str,
) -> tuple[Delivered, dict[str, Outputs], Choice | None]:
    """Wrap the network, perhaps with a floor, fit calibration and unfamiliarity; return it with its answers on
    validation rows."""
    task, examples = reading.task, reading.examples
    network, rows = trainer.model, examples.splits
    train_rows = rows["train"][np.linspace(0, len(rows["train"]) - 1, min(len(rows["train"]), 10_000)).astype(np.int64)]
    probe = Delivered(network, num_outputs=_num_outputs(trainer, train_rows), num_hidden=hidden_width(network))
    _, hidden_ND, label = _looked_at(probe, trainer, train_rows)
    unfamiliarity.fit_spread(probe, hidden_ND, label)
    plain_NC, hidden_ND, label = _looked_at(probe, trainer, rows["val"])
    probe.to(trainer.device)
    views: tuple[str, ...] = ("plain",)
    logits_NC = plain_NC
    fitted = calibration.fit(plain_NC, label, kind=kind)
    if len(trainer.plan.views) > 1:
        probe.look_at(trainer.plan.views)
        several = collect(task, probe, examples, rows["val"], metrics=(), precision=trainer.plan.precision)
        with_views = calibration.fit(several.logits, label, kind=kind)
        if with_views.loss_after <= fitted.loss_after and several.logits is not None:
            views, logits_NC, fitted = trainer.plan.views, several.logits, with_views
        probe.look_at(views)
    choice = _compete(task, logits_NC, beside, label)
    if choice is not None and choice.chosen != "network":
        probe.blend(floors[choice.floor], choice.floor, share=choice.share, temperatures=choice.temperatures)
        floor_NC = beside[choice.floor].logits
        assert floor_NC is not None, "what competes gives logits"
        logits_NC = competing.blended(logits_NC, floor_NC, choice.share, choice.temperatures)
        fitted = calibration.fit(logits_NC, label, kind=kind)
    fitted.apply(probe)
    calibrated = torch.from_numpy((logits_NC / fitted.temperature + fitted.bias).astype(np.float32))
    hidden = torch.from_numpy(hidden_ND) if hidden_ND.size else None
    probe.to("cpu")
    unfamiliarity.fit_threshold(probe, probe.distance(hidden, calibrated))
    strange_N = probe.unfamiliarity(hidden, calibrated).numpy()
    probe.to(trainer.device)
    batch = SimpleNamespace(label=torch.from_numpy(label))
    statistics = {metric.name: metric.update(calibrated, batch) for metric in task.metrics}
    return probe.eval(), {"val": Outputs(rows["val"], calibrated.numpy(), label, strange_N, statistics)}, choice


def _compete(task: Task, logits_NC: np.ndarray, beside: Mapping[str, Outputs], label: np.ndarray) -> Choice | None:
    """Let the floors that may be delivered compete with the network; None where there is none."""
    offered = {name: beside[name].logits for name in fitted_floors.deliverable(task)}
    known = {name: logits for name, logits in offered.items() if logits is not None}
    return competing.choose(task, logits_NC, known, label) if known else None


def _looked_at(module: Delivered, trainer: Trainer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bare network on some rows: (logits (N, C), last hidden layer (N, D), labels)."""
    logits, hidden, labels = [], [], []
    for batch in _batches(trainer, rows):
        found, seen = module.hidden(lambda _: _plain(trainer, batch))  # noqa: B023  (called at once)
        logits.append(found.float().cpu().numpy())
        hidden.append(np.zeros((len(found), 0), np.float32) if seen is None else seen.cpu().numpy())
        labels.append(batch.label.cpu().numpy())
    return np.concatenate(logits), np.concatenate(hidden), np.concatenate(labels)


def _plain(trainer: Trainer, batch: Batch) -> Any:
    return answer(trainer.task, trainer.model, batch, precision=trainer.plan.precision)[0]


def _batches(trainer: Trainer, rows: np.ndarray) -> Iterable[Batch]:
    for start in range(0, len(rows), trainer.micro_batch):
        yield trainer.load(rows[start : start + trainer.micro_batch])


def _mixed(trainer: Trainer, *, batches: int = 20) -> np.ndarray:
    """Some training rows of all classes mixed, as in training, and where there are enough in whole batches."""
    size, rows = trainer.micro_batch, trainer.examples.splits["train"]
    mixed = np.random.default_rng(trainer.plan.seed).permutation(rows)
    return mixed[: size * min(batches, max(1, len(rows) // size))]


def _num_outputs(trainer: Trainer, rows: np.ndarray) -> int:
    return int(_plain(trainer, trainer.load(rows[:1])).shape[1])


def _say(results: dict[str, Any], choice: Choice | None) -> None:
    """Warn where a floor is as good as the network; where it competed, say what came of it."""
    last = results.get("test") or results["val"]
    for name, against in last["against_floors"].items():
        part = choice is not None and name == choice.floor and choice.chosen != "network"
        if against["verdict"] == "worse" if part else against["verdict"] != "better":
            what = "What is delivered" if part else "The network"
            events.warn(f"{what} is not shown to be better than the floor {name}: {against['sentence']}")
