"""Evaluation: a model's answers on known examples, and everything that is said of them.

Shapes: N examples, B examples of a batch, C classes, V values of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from engram.core.task import Task
from engram.data.examples import Examples, namespace
from engram.evaluate import comparison, intervals
from engram.evaluate.calibration import reliability
from engram.evaluate.intervals import Score
from engram.metrics.metric import Metric
from engram.predict.answering import BATCH_SIZE, answer

EXPECTED_CALIBRATION_ERROR = "expected_calibration_error"


@dataclass
class Outputs:
    """A model's raw answers to some rows, beside the truth.

    rows: (N,) row numbers in the table. logits: (N, C) float32. numbers: (N, V), where answers are numbers: these, and
    as delivered, both ends of their intervals. Of a task whose output is neither, the statistics are all that is kept.
    label: (N,) class numbers, -1 unknown, or numbers, or (N, C) yes or no; None where labels are not known.
    unfamiliarity: (N,), above 1 is unfamiliar, or None where the model does not say it. statistics: metric's name ->
    its statistics. written: the decoded answers of a task that writes. together: how many neighbouring rows overlap.
    """

    rows: np.ndarray
    logits: np.ndarray | None = None
    label: np.ndarray | None = None
    unfamiliarity: np.ndarray | None = None
    statistics: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    written: list[dict[str, Any]] = field(default_factory=list)
    numbers: np.ndarray | None = None
    together: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def probabilities(self) -> np.ndarray:
        """(N, C): softmax, or where an example can have several labels, sigmoid."""
        assert self.logits is not None, "only where the output is logits"
        return probabilities(self.logits, several=self.label is not None and self.label.ndim == 2)


def probabilities(logits_NC: np.ndarray, *, several: bool) -> np.ndarray:
    """Return softmax probabilities (N, C), or sigmoids for several labels an example."""
    import torch

    logits = torch.from_numpy(logits_NC)
    return np.asarray(logits.sigmoid() if several else logits.softmax(1))


def collect(
    task: Task,
    module: nn.Module,
    examples: Examples,
    rows: np.ndarray,
    *,
    metrics: Sequence[Metric] | None = None,
    precision: str = "float32",
    batch_size: int = BATCH_SIZE,
) -> Outputs:
    """Answer for some rows, in their order, and keep the statistics of metrics (default: the task's).

    module: delivered, network or floor, in evaluation mode. Without labels in `examples`, no statistics.
    """
    metrics = task.metrics if metrics is None else metrics
    parts: dict[str, list[np.ndarray]] = {"logits": [], "numbers": [], "label": [], "unfamiliarity": []}
    kept: dict[str, list[dict[str, np.ndarray]]] = {metric.name: [] for metric in metrics}
    written: list[dict[str, Any]] = []
    ordered, places = examples.sorted(np.asarray(rows))
    for batch in examples.batches(ordered, size=min(batch_size, examples.at_once or batch_size)):
        output, unfamiliarity_B = answer(task, module, batch, precision=precision)
        known = all(getattr(batch, role, None) is not None for role in task.target)
        if task.answers.calibration is not None:
            parts["logits" if task.answers.are_logits else "numbers"].append(output.numpy())
            if known:
                parts["label"].append(getattr(batch, next(iter(task.target))).cpu().numpy())
        if task.answers.written:
            written += task.decode(output, namespace(examples.features), task.options())
        if unfamiliarity_B is not None:
            parts["unfamiliarity"].append(unfamiliarity_B.numpy())
        if known:
            for metric in metrics:
                kept[metric.name].append(metric.update(output, batch))
    joined: dict[str, Any] = {n: np.concatenate(values)[places] for n, values in parts.items() if values}
    statistics = {name: _joined(values, places) for name, values in kept.items() if values}
    written = [written[place] for place in places] if written else []
    joined |= {"statistics": statistics, "written": written, "together": examples.together}
    return Outputs(np.asarray(rows), **joined)


def _joined(parts: list[dict[str, np.ndarray]], places: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts])[places] for name in parts[0]}


def score(outputs: Outputs, metrics: Sequence[Metric], *, seed: int = 0) -> dict[str, Score]:
    """Return metric's name -> {"value", "low", "high"}; metrics that have no score on these rows are left out."""
    if not len(outputs):
        return {}
    return intervals.scores(tuple(metrics), outputs.statistics, seed=seed, together=outputs.together)


def evaluate(
    task: Task,
    outputs: Outputs,
    names: Sequence[str] = (),
    *,
    floors: Mapping[str, Outputs] | None = None,
    network: Outputs | None = None,
) -> dict[str, Any]:
    """Say everything about some answers, ready for JSON.

    names: the classes, in the order of the logits; none for a task that has no classes. floors: name -> answers of
    that floor to the same rows. network: answers of the network alone, where a floor counts in what is delivered.
    Returns "task", "num_examples", "metrics" and "floors" (name -> metric -> value, low, high), "network" (metrics of
    the network alone; None where it is what is delivered), and beside them
    "against_floors" (name -> paired comparison by the first metric), "per_class", "confusion" (rows: truth,
    columns: answers; None for several labels, or no classes), "calibration" and "unfamiliar" (the share called so).
    """
    floors = floors or {}
    scores = score(outputs, task.metrics)
    first = next((metric for metric in task.metrics if metric.name in scores), None)
    against = {
        name: vars(
            comparison.paired(
                first,
                theirs.statistics[first.name],
                outputs.statistics[first.name],
                names=(name, "the network" if network is None else "what is delivered"),
                together=outputs.together,
            )
        )
        for name, theirs in floors.items()
        if first is not None
    }
    label = outputs.label
    single = task.answers.are_logits and label is not None and label.ndim == 1
    unfamiliar = outputs.unfamiliarity
    return {
        "task": task.name,
        "num_examples": len(outputs),
        "num_unknown_labels": int((label < 0).sum()) if label is not None and single else 0,
        "metrics": scores,
        "floors": {name: score(theirs, task.metrics) for name, theirs in floors.items()},
        "network": score(network, task.metrics) if network is not None else None,
        "against_floors": against,
        "per_class": per_class(outputs, names),
        "confusion": confusion(outputs, len(names)).tolist() if single else None,
        "calibration": calibration(outputs) if task.answers.are_logits else None,
        "unfamiliar": float((unfamiliar > 1).mean()) if unfamiliar is not None and len(unfamiliar) else None,
    }


def confusion(outputs: Outputs, num_classes: int) -> np.ndarray:
    """Return counts (C, C): row the true class, column the answer. Unknown labels are left out."""
    assert outputs.logits is not None and outputs.label is not None and outputs.label.ndim == 1, "one label each"
    known = outputs.label >= 0
    pairs = outputs.label[known] * num_classes + outputs.logits[known].argmax(1)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(outputs: Outputs, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each class's "label", "precision", "recall", "f1" and "support" (number of examples).

    None where there is nothing to divide by: no answer, or no example, of that class.
    """
    if outputs.label is None or outputs.logits is None:
        return []
    numbers = np.arange(len(names))
    if outputs.label.ndim == 1:
        label, predicted = outputs.label[:, None] == numbers, outputs.logits.argmax(1)[:, None] == numbers
    else:
        label, predicted = outputs.label > 0.5, outputs.logits > 0
    hits, answers, support = (label & predicted).sum(0), predicted.sum(0), label.sum(0)
    return [
        {
            "label": name,
            "precision": _share(hits[c], answers[c]),
            "recall": _share(hits[c], support[c]),
            "f1": _share(2 * hits[c], answers[c] + support[c]),
            "support": int(support[c]),
        }
        for c, name in enumerate(names)
    ]


def calibration(outputs: Outputs) -> dict[str, Any]:
    """Return {"expected_calibration_error", "bins"}: stated confidence beside the share of right answers."""
    if outputs.label is None or outputs.logits is None or not len(outputs):
        return {EXPECTED_CALIBRATION_ERROR: None, "bins": []}
    bins = reliability(outputs.logits, outputs.label)
    gaps = [b["count"] * abs(b["confidence"] - b["accuracy"]) for b in bins]
    return {EXPECTED_CALIBRATION_ERROR: sum(gaps) / sum(b["count"] for b in bins), "bins": bins}


def _share(above: Any, below: Any) -> float | None:
    return float(above / below) if below else None
