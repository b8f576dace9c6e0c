"""What a run keeps of its examples, to be shown and asked about later, when the data may be gone.

Scored ones as the network sees them: the worst answers, the strangest, and an even sample that stands for all; beside
them some that were learned from. Of running text a few windows. And what every scored example is like, in words and
numbers.

Shapes: M examples kept, T tokens of a window.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions
from engram.evaluate.evaluation import Outputs
from engram.explain.kept import FILE
from engram.predict.answering import class_names

KEPT_BYTES = 8_000_000
"""Pictures that a run keeps to be shown in its report."""

MOST_KEPT = 1200
MOST_LEARNED = 600
"""Of what was learned from: an answer is compared with it."""

SHOWN_CHARACTERS = 1500
"""Of a text that a run keeps to be shown."""

WINDOWS = 12
METADATA_VALUES = 30
"""A column with more different words than these is no trait of its rows."""


def keep(run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs]) -> None:
    """Keep each answer, with what its example is like; and some scored examples, and some that were learned from."""
    names, role = class_names(reading.task, reading.examples.features), next(iter(reading.task.inputs))
    where, digest = reading.roles[role].where, reading.examples.stored[role].digest
    predictions.write(run, outputs, names, where=where, digest=digest, traits=lambda rows: traits(reading, rows))
    _keep_examples(run, reading, outputs)


def _keep_examples(run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs]) -> None:
    role, target = next(iter(reading.task.inputs)), next(iter(reading.task.target))
    feature: Any = reading.examples.features[role]
    outputs = {name: found for name, found in outputs.items() if len(found)}
    pictures = len(getattr(feature, "shape", ())) == 3
    most = min(MOST_KEPT, max(64, int(KEPT_BYTES / np.prod(feature.shape)))) if pictures else MOST_KEPT
    chosen = [_worth_showing(found, most // len(outputs)) for found in outputs.values()]
    learned = _spread(reading.examples.splits["train"], most * MOST_LEARNED // MOST_KEPT)
    rows = np.unique(np.concatenate([*(np.concatenate(pair) for pair in chosen), learned]))
    label: Any = reading.examples.batch(rows, roles=[target])
    kept = {
        "rows": rows,
        "label": np.asarray(getattr(label, target)),
        "even": np.isin(rows, np.concatenate([even for _, even in chosen])),
        "learned": np.isin(rows, learned),
    }
    run.write_arrays(FILE, {**kept, **_values(reading, role, rows, seen=pictures or feature.is_text)})


def keep_windows(run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs]) -> None:
    """Keep some windows of running text, as ids."""
    rows = np.concatenate([_spread(found.rows, WINDOWS) for found in outputs.values()])
    batch: Any = reading.examples.batch(rows)
    run.write_arrays(FILE, {"rows": rows, "tokens": np.asarray(batch.text), "scored": np.asarray(batch.scored)})


def traits(reading: Reading, rows: np.ndarray) -> dict[str, list[Any]]:
    """What examples are like: what their features say, and the columns of the table that were not learned from."""
    found: dict[str, list[Any]] = {}
    for role in reading.task.inputs:
        found |= reading.examples.features[role].traits(reading.examples.stored[role], rows)
    taken = {column.name for column in reading.roles.values()}
    for name, column in reading.table.columns.items():
        if name not in taken and column.kind in ("text", "number") and not column.lazy:
            values = [column.values[row] for row in rows.tolist()]
            if column.kind == "number" or len(set(values)) <= METADATA_VALUES:
                found.setdefault(name, values)
    return found


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64))]


def _values(reading: Reading, role: str, rows: np.ndarray, *, seen: bool) -> dict[str, np.ndarray]:
    """Pictures as one array; texts, or else JSON, one after another as UTF-8 with their sizes.

    seen: as the network sees them; else as they were given.
    """
    if not seen:
        told = [json.dumps(reading.roles[role].values[row], default=str) for row in rows.tolist()]
        return _packed("json", told)
    decoded = reading.examples.features[role].decode(getattr(reading.examples.batch(rows, roles=[role]), role))
    if isinstance(decoded[0], str):
        return _packed("text", [text[:SHOWN_CHARACTERS] for text in decoded])
    return {role: np.stack(decoded)}


def _packed(kind: str, texts: list[str]) -> dict[str, np.ndarray]:
    pieces = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    return {kind: np.concatenate(pieces), "sizes": np.array([len(piece) for piece in pieces])}


def _worth_showing(found: Outputs, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows of the least likely labels (a quarter) and the most unfamiliar (an eighth), an even sample)."""
    if found.numbers is not None and found.label is not None:
        of_label = -np.abs(found.numbers[:, 0] - found.label)
        return found.rows[np.sort(np.argsort(of_label, kind="stable")[: number // 4])], _spread(found.rows, number)
    probability = found.probabilities
    if found.label is not None and found.label.ndim == 1:
        of_label = probability[np.arange(len(found)), np.maximum(found.label, 0)]
    else:
        of_label = 1 - np.abs(probability - (found.label if found.label is not None else 0)).max(1)
    worst = np.argsort(of_label, kind="stable")[: number // 4]
    strange = (
        np.argsort(-found.unfamiliarity, kind="stable")[: number // 8] if found.unfamiliarity is not None else worst
    )
    even = _spread(found.rows, number - len(worst) - len(strange))
    return found.rows[np.unique(np.concatenate([worst, strange]))], even
