"""Proof: what was exported is run on rows of the user's own, in another process, and compared with the run's answers.

Shapes: N rows, B rows of a batch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engram.core.errors import ExportError
from engram.core.task import Batch
from engram.export import running
from engram.export.exported import named
from engram.predict.answering import output_of
from engram.predict.predictor import Predictor

TOLERANCE = 1e-4
"""How far numbers may be off, beside 1 or the largest of their row: what another order of summation does to float32."""

MOST_CHANGED = 0.05
"""Of the rows, so many may get another answer than when the run was made: it may have answered in half precision."""

BATCH_SIZE = 64
SHOWN = 5

Answers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows to prove an export on.

    stored: for each row its stored values by role. labels: what they should be answered, None where that is not known.
    kept: what the run answered when it was made, None where it did not say. where: names of the rows. source: where
    they come from, for people. exact: whether they are what the run was scored on, to the last bit.
    """

    stored: Sequence[Mapping[str, Any]]
    labels: Sequence[Any]
    kept: Sequence[Any]
    where: Sequence[str]
    source: str
    exact: bool = True

    def __len__(self) -> int:
        return len(self.stored)


@dataclass(frozen=True)
class Proof:
    """How exported answers compare with the run's.

    difference: the largest one of each output. other_answers: rows that are answered otherwise, which within the
    tolerance can be only where two answers are as likely as each other. metrics: name -> {"run", "exported"}.
    num_kept, disagreeing: rows that the run was scored on, and those of them with another answer now.
    """

    rows: int
    source: str
    difference: dict[str, float]
    other_answers: int
    metrics: dict[str, dict[str, float]]
    num_kept: int = 0
    disagreeing: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "rows": self.rows,
            "source": self.source,
            "tolerance": TOLERANCE,
            "largest_difference": self.difference,
            "other_answers": self.other_answers,
            "metrics": self.metrics,
            "num_kept": self.num_kept,
            "num_disagreeing": len(self.disagreeing),
            "disagreeing": self.disagreeing[:SHOWN],
        }


def prove(kind: str, path: Path, predictor: Predictor, rows: Rows) -> Proof:
    """Run an exported file on rows and compare; ExportError unless it answers as the run does."""
    batches = together(predictor, rows)
    expected = [reference(predictor, rows, batch) for batch in batches]
    found = run_apart(kind, path, [given(predictor, rows, batch) for batch in batches])
    order = np.argsort(np.concatenate(batches))
    wanted, got = _joined(expected, order), _joined(found, order)
    difference = {name: _compared(name, got[name], wanted[name], rows) for name in wanted}
    said, said_before = (_said(predictor, answers) for answers in (got, wanted))
    proof = Proof(
        rows=len(rows),
        source=rows.source,
        difference=difference,
        other_answers=sum(now != then for now, then in zip(said, said_before, strict=True)),
        metrics=_metrics(predictor, rows, {"run": wanted, "exported": got}),
        num_kept=sum(then is not None for then in rows.kept),
        disagreeing=_disagreeing(said, rows),
    )
    if rows.exact and len(proof.disagreeing) > max(1, MOST_CHANGED * len(rows)):
        raise ExportError(
            f"expected the answers that the run gave when it was made; of {len(rows)} rows, {len(proof.disagreeing)} "
            f"are answered otherwise ({', '.join(proof.disagreeing[:SHOWN])}). Nothing was written."
        )
    return proof


def together(predictor: Predictor, rows: Rows) -> list[np.ndarray]:
    """Cut rows into batches; values that are encoded in the graph are alike in shape within each."""
    encoded = [role for role in predictor.task.graph_inputs if predictor.features[role].graph() is not None]
    groups: dict[Any, list[int]] = {}
    for number, values in enumerate(rows.stored):
        shape = tuple(next(iter(values[role].values())).shape for role in encoded)
        groups.setdefault(shape, []).append(number)
    return [
        np.array(numbers[start : start + BATCH_SIZE])
        for numbers in groups.values()
        for start in range(0, len(numbers), BATCH_SIZE)
    ]


def given(predictor: Predictor, rows: Rows, batch: np.ndarray) -> dict[str, Tensor]:
    """What an exported model is given for some rows, by role."""
    roles = predictor.task.graph_inputs
    gathered = predictor.gather([rows.stored[row] for row in batch], roles)
    return {role: predictor.features[role].given(gathered[role]) for role in roles}


def reference(predictor: Predictor, rows: Rows, batch: np.ndarray) -> Answers:
    """What the run answers for some rows, in single precision."""
    gathered = predictor.gather([rows.stored[row] for row in batch], predictor.task.graph_inputs)
    encoded = {role: predictor.features[role].encode(values) for role, values in gathered.items()}
    task = predictor.task
    inputs = Batch(rows=batch, **encoded)
    output, unfamiliarity_B = output_of(task.graph, task, predictor.module, inputs)
    return {name: value.numpy() for name, value in named(output, unfamiliarity_B, kind=task.calibration).items()}


def run_apart(kind: str, path: Path, batches: Sequence[Mapping[str, Tensor]]) -> list[Answers]:
    """Run an exported file in a process that has nothing else; ExportError with what it says where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "given.npz", Path(folder) / "answers.npz"
        arrays = {f"{n}/{role}": value.numpy() for n, batch in enumerate(batches) for role, value in batch.items()}
        np.savez(inputs, **arrays)  # type: ignore[arg-type]  # numpy types its own keyword alone
        command = [sys.executable, "-P", running.__file__, kind, str(path), str(inputs), str(outputs)]
        ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
        if ended.returncode:
            said = ended.stderr.strip().splitlines()
            raise ExportError(f"the exported file does not run: {said[-1] if said else ended.returncode}")
        with np.load(outputs) as found:
            answers: list[Answers] = [{} for _ in batches]
            for name in found.files:
                number, _, output = name.partition("/")
                answers[int(number)][output] = found[name]
    return answers


def _joined(parts: Sequence[Answers], order: np.ndarray) -> Answers:
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _compared(name: str, got: np.ndarray, wanted: np.ndarray, rows: Rows) -> float:
    """Return the largest difference; ExportError where a row's is beyond the tolerance."""
    if got.shape != wanted.shape:
        raise ExportError(f"expected {name} of shape {wanted.shape}; the exported file gives {got.shape}.")
    axes = tuple(range(1, wanted.ndim))
    difference_N = np.abs(got - wanted).max(axes, initial=0)
    allowed_N = TOLERANCE * np.maximum(1, np.abs(wanted).max(axes, initial=0))
    if (wrong := np.flatnonzero(~(difference_N <= allowed_N))).size:
        worst = wrong[np.argmax(difference_N[wrong])]
        raise ExportError(
            f"expected answers that differ by at most {TOLERANCE:g}; the {name} of {wrong.size} of {len(rows)} rows "
            f"differ by more, at most by {difference_N[worst]:.3g} ({rows.where[worst]}). Nothing was written."
        )
    return float(difference_N.max(initial=0))


def _metrics(predictor: Predictor, rows: Rows, answers: Mapping[str, Answers]) -> dict[str, dict[str, float]]:
    """The task's metrics of some answers on the rows with known labels, for each of those who gave them."""
    known = np.array([label is not None for label in rows.labels], dtype=bool)
    task, role = predictor.task, next(iter(predictor.task.target), "")
    if task.calibration is None or not known.any():
        return {}
    feature = predictor.features[role]
    stored = [{role: feature.store(label)} for label in rows.labels if label is not None]
    batch = Batch(rows=np.flatnonzero(known), **{role: feature.encode(predictor.gather(stored, [role])[role])})
    logits = {who: torch.from_numpy(found["logits"][known]) for who, found in answers.items()}
    return {
        metric.name: {who: float(metric.compute(metric.update(given, batch))) for who, given in logits.items()}
        for metric in task.metrics
    }


def _said(predictor: Predictor, answers: Answers) -> list[Any]:
    """The names that answers come to, one or several each; nothing where answers are no classes."""
    names, kind = predictor.names, predictor.task.calibration
    if kind is None or not names:
        return []
    if kind == "softmax":
        return [names[number] for number in answers["logits"].argmax(1).tolist()]
    return [[names[number] for number in np.flatnonzero(row > 0).tolist()] for row in answers["logits"]]


def _disagreeing(said: list[Any], rows: Rows) -> list[str]:
    """Name the rows whose answer is another than the run kept."""
    pairs = zip(rows.where, said, rows.kept, strict=False)
    return [where for where, now, then in pairs if then is not None and now != then]


def sample(predictor: Predictor, rows: Rows) -> tuple[Tensor, ...]:
    """Return what an exported model is given for a few rows of one shape, by which its graph is traced."""
    most = max(together(predictor, rows), key=len)
    return tuple(given(predictor, rows, np.resize(most[:3], 3)).values())
