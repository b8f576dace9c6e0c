"""Proof: what was exported is run on rows of the user's own, in another process, and compared with the run's answers.

Shapes: N rows, B rows of a batch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
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
MOST_UNCLASSED, MOST_LENGTH = 32, 256
"""Where answers are no classes, so many rows, up to so many tokens of each: an answer may be a million numbers."""

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
    wanted = [reference(predictor, rows, batch) for batch in batches]
    got = run_apart(kind, path, [given(predictor, rows, batch) for batch in batches])
    where = [[rows.where[row] for row in batch] for batch in batches]
    differences = [
        {name: compared(name, answers[name], expected[name], names) for name in expected}
        for answers, expected, names in zip(got, wanted, where, strict=True)
    ]
    number = sum(map(len, batches))
    proof = Proof(
        rows=number,
        source=rows.source if number == len(rows) else f"{number} rows, out of {rows.source}",
        difference={name: max(found[name] for found in differences) for name in differences[0]},
        **_as_classes(predictor, rows, batches, wanted, got),
    )
    if rows.exact and len(proof.disagreeing) > max(1, MOST_CHANGED * len(rows)):
        raise ExportError(
            f"expected the answers that the run gave when it was made; of {len(rows)} rows, {len(proof.disagreeing)} "
            f"are answered otherwise ({', '.join(proof.disagreeing[:SHOWN])}). Nothing was written."
        )
    return proof


def together(predictor: Predictor, rows: Rows) -> list[np.ndarray]:
    """Cut rows into batches; values that are encoded in the graph are alike in shape within each."""
    classes = predictor.task.answers.calibration is not None
    most, size = (len(rows), BATCH_SIZE) if classes else (MOST_UNCLASSED, BATCH_SIZE // 8)
    encoded = [role for role in predictor.task.graph_inputs if predictor.features[role].graph() is not None]
    groups: dict[Any, list[int]] = {}
    for number, values in enumerate(rows.stored[:most]):
        shape = tuple(next(iter(values[role].values())).shape for role in encoded)
        groups.setdefault(shape, []).append(number)
    return [
        np.array(numbers[start : start + size]) for numbers in groups.values() for start in range(0, len(numbers), size)
    ]


def given(predictor: Predictor, rows: Rows, batch: np.ndarray) -> dict[str, Tensor]:
    """What an exported model is given for some rows, by role."""
    return _inputs(predictor, rows, batch, lambda feature, values: feature.given(values))


def reference(predictor: Predictor, rows: Rows, batch: np.ndarray) -> Answers:
    """What the run answers for some rows, in single precision."""
    encoded = _inputs(predictor, rows, batch, lambda feature, values: feature.encode(values))
    task = predictor.task
    output, unfamiliarity_B = output_of(task.graph, task, predictor.module, Batch(rows=batch, **encoded))
    return {
        name: value.numpy() for name, value in named(output, unfamiliarity_B, kind=task.answers.calibration).items()
    }


def _inputs(
    predictor: Predictor, rows: Rows, batch: np.ndarray, made: Callable[[Any, Any], Tensor]
) -> dict[str, Tensor]:
    """What is made of some rows' values, by role; no longer than is compared."""
    roles = predictor.task.graph_inputs
    gathered = predictor.gather([rows.stored[row] for row in batch], roles)
    found = {role: made(predictor.features[role], gathered[role]) for role in roles}
    if predictor.task.answers.calibration is None:
        for role in roles:
            for axis in predictor.features[role].varying:
                found[role] = found[role].narrow(axis, 0, min(MOST_LENGTH, found[role].shape[axis])).contiguous()
    return found


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


def compared(name: str, got: np.ndarray, wanted: np.ndarray, where: Sequence[str]) -> float:
    """Return the largest difference of some rows; ExportError where one's is beyond the tolerance."""
    if got.shape != wanted.shape:
        raise ExportError(f"expected {name} of shape {wanted.shape}; the exported file gives {got.shape}.")
    axes = tuple(range(1, wanted.ndim))
    difference_N = np.abs(got - wanted).max(axes, initial=0)
    allowed_N = TOLERANCE * np.maximum(1, np.abs(wanted).max(axes, initial=0))
    if (wrong := np.flatnonzero(~(difference_N <= allowed_N))).size:
        worst = wrong[np.argmax(difference_N[wrong])]
        raise ExportError(
            f"expected answers that differ by at most {TOLERANCE:g}; the {name} of {wrong.size} of {len(where)} rows "
            f"differ by more, at most by {difference_N[worst]:.3g} ({where[worst]}). Nothing was written."
        )
    return float(difference_N.max(initial=0))


def _as_classes(
    predictor: Predictor, rows: Rows, batches: Sequence[np.ndarray], wanted: list[Answers], got: list[Answers]
) -> dict[str, Any]:
    """What is said of answers that are classes: the fields of a `Proof`; nothing where they are none."""
    if not predictor.task.answers.are_logits:
        return {"other_answers": 0, "metrics": {}}
    order = np.argsort(np.concatenate(batches))
    logits = {
        who: np.concatenate([part["logits"] for part in parts])[order]
        for who, parts in (("run", wanted), ("exported", got))
    }
    said, said_before = (_said(predictor, logits[who]) for who in ("exported", "run"))
    return {
        "other_answers": sum(now != then for now, then in zip(said, said_before, strict=True)),
        "metrics": _metrics(predictor, rows, logits),
        "num_kept": sum(then is not None for then in rows.kept),
        "disagreeing": _disagreeing(said, rows),
    }


def _metrics(predictor: Predictor, rows: Rows, logits: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """The task's metrics of some logits on the rows with known labels, for each of those who gave them."""
    known = np.array([label is not None for label in rows.labels], dtype=bool)
    task, role = predictor.task, next(iter(predictor.task.target), "")
    if not known.any():
        return {}
    feature = predictor.features[role]
    stored = [{role: feature.store(label)} for label in rows.labels if label is not None]
    batch = Batch(rows=np.flatnonzero(known), **{role: feature.encode(predictor.gather(stored, [role])[role])})
    tensors = {who: torch.from_numpy(found[known]) for who, found in logits.items()}
    return {
        metric.name: {who: float(metric.compute(metric.update(given, batch))) for who, given in tensors.items()}
        for metric in task.metrics
    }


def _said(predictor: Predictor, logits_NC: np.ndarray) -> list[Any]:
    """The names that answers come to, one or several each."""
    names = predictor.names
    if predictor.task.answers.calibration == "softmax":
        return [names[number] for number in logits_NC.argmax(1).tolist()]
    return [[names[number] for number in np.flatnonzero(row_C > 0).tolist()] for row_C in logits_NC]


def _disagreeing(said: list[Any], rows: Rows) -> list[str]:
    """Name the rows whose answer is another than the run kept."""
    pairs = zip(rows.where, said, rows.kept, strict=True)
    return [where for where, now, then in pairs if then is not None and now != then]


def sample(predictor: Predictor, rows: Rows) -> tuple[Tensor, ...]:
    """Return what an exported model is given for a few rows of one shape, by which its graph is traced."""
    most = max(together(predictor, rows), key=len)
    return tuple(given(predictor, rows, np.resize(most[:3], 3)).values())
