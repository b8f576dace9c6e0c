"""After training: from trained weights to the delivered module, its scores beside floors, and what the run keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors
from torch import nn

from engram.api import floors as fitted_floors
from engram.api.calibrating import calibrated
from engram.api.competing import Choice
from engram.api.looking import batches, mixed, plain
from engram.api.numbers import delivered_number
from engram.api.reading import Reading
from engram.core import events
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions, written
from engram.evaluate.evaluation import Outputs, collect, evaluate
from engram.features.text import text_of
from engram.models.delivered import Delivered, NetworkAlone
from engram.optim.average import reestimate_batchnorm
from engram.predict.answering import BATCH_SIZE, class_names
from engram.predict.predictor import Predictor
from engram.train.checkpoint import separate
from engram.train.trainer import Trainer

KEPT_BYTES = 8_000_000
"""Pictures that a run keeps to be shown in its report."""

MOST_KEPT = 1200

SHOWN_CHARACTERS = 1500
"""Of a text that a run keeps to be shown."""

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
    task, network, rows = reading.task, trainer.model, reading.examples.splits
    if trainer.average is not None:
        reestimate_batchnorm(network, lambda batch: plain(trainer, batch), batches(trainer, mixed(trainer)))
    network.eval()
    beside = {"val": _beside(reading, floors, "val")}
    module, outputs, choice = _delivered(reading, trainer, floors, beside["val"])
    if isinstance(module, Delivered) and module.floor is not None and refit:
        floors = {**floors, module.floor_name: _refitted(reading, module, seconds=refit)}
        fitted_floors.save(run, floors)
    run.write("model.safetensors", save_tensors(separate(module.state_dict())))
    results: dict[str, Any] = {}
    if report:
        if "test" in rows:
            outputs["test"] = collect(task, module, reading.examples, rows["test"], precision=trainer.plan.precision)
            beside["test"] = _beside(reading, floors, "test")
        results = _scored(run, reading, trainer, module, outputs, beside)
        _say(results, choice)
    predictor = Predictor(
        run, task, reading.examples.features, module.cpu(), network=network, precision=trainer.plan.precision
    )
    return Delivery(results, predictor, choice)


def _scored(
    run: RunDirectory,
    reading: Reading,
    trainer: Trainer,
    module: nn.Module,
    outputs: dict[str, Outputs],
    beside: Mapping[str, Mapping[str, Outputs]],
) -> dict[str, Any]:
    """Score answers beside the floors' and the network's alone, and keep them with some examples; return the scores."""
    task, names = reading.task, class_names(reading.task, reading.examples.features)
    results = {
        split: evaluate(task, found, names, floors=beside[split], network=_by_itself(reading, trainer, module, split))
        for split, found in outputs.items()
    }
    if task.calibration is not None:
        first = next(iter(task.inputs))
        where, digest = reading.roles[first].where, reading.examples.stored[first].digest
        predictions.write(run, outputs, names, where=where, digest=digest)
        _keep_examples(run, reading, outputs)
    if task.writes:
        _keep_written(run, reading, outputs)
    return results


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
    """What is delivered, and its answers on validation rows: logits are calibrated, numbers get intervals, and other
    outputs stay as they are."""
    task, precision = reading.task, trainer.plan.precision
    if task.calibration == "conformal":
        return delivered_number(reading, trainer, floors, beside)
    if task.calibration is not None:
        return calibrated(reading, trainer, floors, beside, kind=task.calibration)
    rows = reading.examples.splits["val"]
    size = BATCH_SIZE
    if not task.inputs:  # a step of one's own: where of a batch only the mean is known, many batches have a spread
        size = min(trainer.plan.micro_batch, max(2, len(rows) // LEAST_BATCHES))
    found = collect(task, trainer.model, reading.examples, rows, precision=precision, batch_size=size)
    return trainer.model, {"val": found}, None


def _keep_examples(run: RunDirectory, reading: Reading, outputs: dict[str, Outputs]) -> None:
    """Keep some scored examples as the network sees them: the worst answers, then an even sample.

    Rows of a table are not kept: they can be looked up by their numbers.
    """
    role = next(iter(reading.task.inputs))
    feature = reading.examples.features[role]
    if not feature.is_text and len(getattr(feature, "shape", ())) < 3:
        return
    outputs = {name: found for name, found in outputs.items() if len(found)}
    each = max(64, int(KEPT_BYTES / np.prod(feature.shape))) if hasattr(feature, "shape") else MOST_KEPT
    each = min(each, MOST_KEPT) // len(outputs)
    chosen = np.unique(np.concatenate([_worth_showing(found, each) for found in outputs.values()]))
    batch = reading.examples.batch(chosen, roles=[role])
    run.write_arrays("examples.safetensors", {"rows": chosen, **_arrays(role, feature.decode(getattr(batch, role)))})


def _arrays(role: str, decoded: Sequence[Any]) -> dict[str, np.ndarray]:
    """Pictures as one array, texts one after another as UTF-8 with their sizes."""
    if not isinstance(decoded[0], str):
        return {role: np.stack(decoded)}
    pieces = [np.frombuffer(text[:SHOWN_CHARACTERS].encode(), np.uint8) for text in decoded]
    return {role: np.concatenate(pieces), "sizes": np.array([len(piece) for piece in pieces])}


def _worth_showing(found: Outputs, number: int) -> np.ndarray:
    """Rows of the least likely labels (a quarter), the most unfamiliar (an eighth), and an even sample."""
    probability = found.probabilities
    if found.label is not None and found.label.ndim == 1:
        of_label = probability[np.arange(len(found)), np.maximum(found.label, 0)]
    else:
        of_label = 1 - np.abs(probability - (found.label if found.label is not None else 0)).max(1)
    worst = np.argsort(of_label, kind="stable")[: number // 4]
    strange = (
        np.argsort(-found.unfamiliarity, kind="stable")[: number // 8] if found.unfamiliarity is not None else worst
    )
    even = np.linspace(0, len(found) - 1, min(len(found), number - len(worst) - len(strange))).astype(np.int64)
    return found.rows[np.unique(np.concatenate([worst, strange, even]))]


def _say(results: dict[str, Any], choice: Choice | None) -> None:
    """Warn where a floor is as good as the network; where it competed, say what came of it."""
    last = results.get("test") or results["val"]
    for name, against in last["against_floors"].items():
        part = choice is not None and name == choice.floor and choice.chosen != "network"
        if against["verdict"] == "worse" if part else against["verdict"] != "better":
            what = "What is delivered" if part else "The network"
            events.warn(f"{what} is not shown to be better than the floor {name}: {against['sentence']}")
