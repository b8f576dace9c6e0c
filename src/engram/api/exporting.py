"""`export`: a run's model as a file that others use, proved on validation rows of the user's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from engram.api import reading
from engram.api.prediction import load
from engram.api.requests import DataRequest
from engram.core import events
from engram.core.errors import DataError, EngramError
from engram.core.rundir import RunDirectory
from engram.data import store
from engram.data.read_values import content_digest
from engram.evaluate import predictions
from engram.explain import kept as shown
from engram.export import writing
from engram.export.proof import Rows
from engram.export.writing import Export
from engram.models.token_blend import TokenBlend
from engram.predict.checking import checked
from engram.predict.predictor import Predictor

MOST_ROWS = 1000
"""To prove an export on, evenly taken: they show a difference of a thousandth, and take a minute at most."""


def export(
    run: Any,
    *,
    to: str,
    out: str | Path | None = None,
    data: Any = None,
    model: Any = None,
    trust_source: bool = False,
) -> Export:
    """Write a run's model for use elsewhere.

    to: "onnx", "torch" (a `torch.export` program), "safetensors" (the weights alone), or "eject" (a folder with a
    script of plain PyTorch). out: the file, or for "eject" the folder; default: in the run's own folder `export/`.
    data: what the run was trained on, where it has moved since or was handed over in Python. model, trust_source: as
    for `load`. ExportError, with nothing written, where what is exported answers otherwise than the run.
    """
    directory = checked(run)
    path = writing.place(directory, to, out)
    if to == "safetensors":
        return writing.write_weights(directory, path)
    writing.refuse_unknown_inputs(directory)
    predictor = load(directory, model=model, trust_source=trust_source)
    if isinstance(predictor.module, TokenBlend):
        events.note(
            f"The network alone is exported: what the floor {predictor.module.name} counts is looked up in tables that "
            "are no part of a graph. Scores of the network alone stand in the report."
        )
        predictor = dataclasses.replace(predictor, module=predictor.network)
    return writing.write(predictor, to, path, rows_of(predictor, data))


def rows_of(predictor: Predictor, data: Any = None) -> Rows:
    """Return rows to prove an export on: validation rows of the data, or where it is gone those that the run keeps."""
    run, options = predictor.run, dict(predictor.run.read_run().get("options") or {})
    options["data"] = options.get("data") if data is None else data
    kept = _kept(run)
    try:
        if options["data"] is None:
            raise DataError("it was trained on what only Python held (name it with --data, or data=...).")
        rows = _from_data(predictor, options, kept)
    except EngramError as error:
        events.note(f"The rows to prove it on are those that the run keeps: {error}")
    else:
        if len(rows):
            return rows
        events.note("The rows to prove it on are those that the run keeps: those in the data have changed.")
    return _from_run(predictor, kept)


def _kept(run: RunDirectory) -> dict[int, dict[str, Any]]:
    """What the run keeps of its validation rows, by their numbers; nothing where it keeps no answers."""
    if not (run / predictions.FILE).is_file():
        return {}
    frame = predictions.read(run)
    columns = [name for name in ("row", "where", "digest", "label", "predicted") if name in frame.columns]
    return {row["row"]: row for row in frame.filter(frame["split"] == "val").select(columns).iter_rows(named=True)}


def _from_data(predictor: Predictor, options: dict[str, Any], kept: dict[int, dict[str, Any]]) -> Rows:
    """Read validation rows again, and leave out those that are not as they were; any rows where none are named."""
    request, task = dataclasses.replace(DataRequest.recorded(options), wishes={}), predictor.task
    table, roles, _ = reading.arranged(
        task, reading.table_of(options["data"], request), request, features=predictor.features
    )
    known = np.array(sorted(kept) if kept else range(len(table)), dtype=np.int64)
    known = known[known < len(table)]
    some = known[np.linspace(0, len(known) - 1, min(len(known), MOST_ROWS)).astype(np.int64)] if len(known) else known
    role = next(iter(task.inputs))
    first, feature, found = roles[role], predictor.features[role], []
    # Whether a row of a table is a copy, or is like another by chance, is seen in all of them.
    whole = store.prepare(first, feature).digest if feature.takes == "rest" else None
    for row in some.tolist():
        if (stored := _stored(predictor, {role: column.values[row] for role, column in roles.items()})) is None:
            continue
        digest = whole[row].tobytes() if whole is not None else content_digest(next(iter(stored[role].values())))
        if kept.get(row, {}).get("digest") in (None, digest.hex()):
            found.append((stored, kept.get(row, {}), first.where(row)))
    which = "validation rows" if kept else "rows"
    return _rows(found, source=f"{len(found):,} of {len(known):,} {which} of {table.origin}", exact=True)


def _stored(predictor: Predictor, values: dict[str, Any]) -> dict[str, Any] | None:
    """Values as their features store them, by role; None where one is missing or cannot be read."""
    needed = predictor.task.graph_inputs
    if not set(needed) <= set(values):
        return None
    try:
        return {role: predictor.features[role].store(values[role]) for role in needed}
    except (DataError, OSError):
        return None


def _from_run(predictor: Predictor, kept: dict[int, dict[str, Any]]) -> Rows:
    """The examples that the run keeps as the network saw them."""
    held, role = shown.read(predictor.run), next(iter(predictor.task.inputs), "")
    found = []
    if held is not None:
        values = held.pictures if held.pictures is not None else held.texts or held.records or ()
        for row, value in zip(held.rows.tolist(), values, strict=False):  # windows of running text are no values
            if row in kept and (stored := _stored(predictor, {role: value})) is not None:
                found.append((stored, kept[row], kept[row]["where"]))
    return _rows(found, source=f"{len(found):,} validation rows that the run keeps", exact=False)


def _rows(found: list[tuple[dict[str, Any], dict[str, Any], str]], *, source: str, exact: bool) -> Rows:
    return Rows(
        stored=[stored for stored, _, _ in found],
        labels=[known.get("label") for _, known, _ in found],
        kept=[known.get("predicted") for _, known, _ in found],
        where=[where for _, _, where in found],
        source=source,
        exact=exact,
    )
