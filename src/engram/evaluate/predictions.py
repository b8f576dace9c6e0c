"""predictions.parquet: every scored example of a run with its answer, one row each.

Shapes: N examples, C classes, V values of an answer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.rundir import RunDirectory
from engram.evaluate import comparison, doubts
from engram.evaluate.comparison import Comparison
from engram.evaluate.evaluation import Outputs, probabilities
from engram.metrics.metric import Metric

if TYPE_CHECKING:
    import polars

FILE = "predictions.parquet"
MAX_COLUMNS = 50
"""With more classes than this, not every class has a column: the likeliest five and the true one are named."""

TOP = 5
BY_CLASS = ("accuracy", "cross_entropy", "macro_f1", "micro_f1")
"""Metrics that the likeliest classes suffice for."""

_PREFIX = "probability of "

TRAIT = "trait "
"""What columns begin with that say what an example is like, so that weak groups can be found by them."""


def write(
    run: RunDirectory,
    outputs: Mapping[str, Outputs],
    names: Sequence[str],
    *,
    where: Callable[[int], str],
    digest: np.ndarray | None = None,
    traits: Callable[[np.ndarray], Mapping[str, Sequence[Any]]] = lambda rows: {},
) -> None:
    """Write the answers to the run, split after split.

    outputs: split -> answers with labels. names: the classes. where: a row's path or name. digest: uint8 (rows
    of the table, 16), the content of every row's input, by which runs are compared. traits: what examples of some rows
    are like, numbers or words by name.

    Columns: row, where, digest (hexadecimal), split, label, predicted, probability (of the answer),
    probability_of_label, correct, unfamiliarity, "probability of NAME" for each class, or where there are more than 50
    classes top_labels and top_probabilities, and "trait NAME" for each trait. For several labels an example, label and
    predicted are lists, probability that of the least certain answer. Where answers are numbers: row, where, digest,
    split, label, predicted, low and high (the ends of its interval), unfamiliarity, and the traits.
    """
    import polars

    frames = [
        _frame(split, out, names, where, digest).hstack(_traits(traits(out.rows)))
        for split, out in outputs.items()
        if len(out)
    ]
    frame = polars.concat(frames, how="vertical") if frames else polars.DataFrame()
    content = io.BytesIO()
    frame.write_parquet(content)
    run.write(FILE, content.getvalue())


def read(run: RunDirectory) -> polars.DataFrame:
    """Read a run's answers; RunError if they are missing or damaged."""
    import polars

    if not (run / FILE).is_file():
        raise RunError(f"expected {run / FILE}; there is none. Score the run first: engram evaluate {run}")
    try:
        frame = polars.read_parquet(run / FILE)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise RunError(f"{run / FILE} is damaged ({error}). Score the run again: engram evaluate {run}") from None
    if missing := {"where", "split", "label", "predicted"} - set(frame.columns):
        raise RunError(f"{run / FILE} is damaged: it lacks {', '.join(sorted(missing))}.")
    return frame


def _frame(
    split: str, out: Outputs, names: Sequence[str], where: Callable[[int], str], digest: np.ndarray | None
) -> polars.DataFrame:
    import polars

    rows = out.rows.tolist()
    columns = {
        "row": out.rows.astype(np.int64),
        "where": [where(row) for row in rows],
        "digest": [digest[row].tobytes().hex() if digest is not None else None for row in rows],
        "split": [split] * len(out),
        **_answers(out, names),
        "unfamiliarity": out.unfamiliarity if out.unfamiliarity is not None else [None] * len(out),
        **(_class_columns(out.probabilities, names) if out.logits is not None else {}),
    }
    types: dict[str, Any] = {"digest": polars.String, "unfamiliarity": polars.Float32}
    if out.logits is not None and (out.label is None or out.label.ndim == 1):
        types["label"] = polars.String  # so too where none is known
    return polars.DataFrame(columns, schema_overrides=types)


def _answers(out: Outputs, names: Sequence[str]) -> dict[str, Any]:
    """The truth and what was answered."""
    if out.numbers is not None:
        ends = ("predicted", "low", "high")
        return {"label": out.label, **dict(zip(ends, np.ascontiguousarray(out.numbers.T), strict=True))}
    return _several(out, names) if out.label is not None and out.label.ndim == 2 else _single(out, names)


def of_numbers(frame: polars.DataFrame) -> bool:
    """Whether kept answers are numbers."""
    return "low" in frame.columns and "correct" not in frame.columns


def _traits(found: Mapping[str, Sequence[Any]]) -> list[polars.Series]:
    import polars

    return [polars.Series(TRAIT + name, values, strict=False) for name, values in found.items()]


def _single(out: Outputs, names: Sequence[str]) -> dict[str, Any]:
    assert out.label is not None and out.logits is not None, "answers are kept beside the truth"
    probability_NC, predicted = out.probabilities, out.logits.argmax(1)
    each = np.arange(len(out))
    of_label = np.where(out.label >= 0, probability_NC[each, np.maximum(out.label, 0)], np.nan)
    return {
        "label": [names[c] if c >= 0 else None for c in out.label.tolist()],
        "predicted": [names[c] for c in predicted.tolist()],
        "probability": probability_NC[each, predicted],
        "probability_of_label": of_label.astype(np.float32),
        "correct": predicted == out.label,
    }


def _several(out: Outputs, names: Sequence[str]) -> dict[str, Any]:
    assert out.label is not None and out.logits is not None
    probability_NC, label, predicted = out.probabilities, out.label > 0.5, out.logits > 0
    return {
        "label": [[names[c] for c in np.flatnonzero(row).tolist()] for row in label],
        "predicted": [[names[c] for c in np.flatnonzero(row).tolist()] for row in predicted],
        "probability": np.where(predicted, probability_NC, 1 - probability_NC).min(1),
        "probability_of_label": np.where(label, probability_NC, 1 - probability_NC).prod(1),
        "correct": (label == predicted).all(1),
    }


def _class_columns(probability_NC: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    if len(names) <= MAX_COLUMNS:
        return {_PREFIX + name: np.ascontiguousarray(probability_NC[:, c]) for c, name in enumerate(names)}
    top_NK = np.argsort(-probability_NC, axis=1, kind="stable")[:, :TOP]
    return {
        "top_labels": [[names[c] for c in row] for row in top_NK.tolist()],
        "top_probabilities": np.take_along_axis(probability_NC, top_NK, axis=1).tolist(),
    }


def doubtful(run: RunDirectory) -> polars.DataFrame:
    """The kept answers of any split whose labels are in doubt (`engram.evaluate.doubts`), the most doubtful first."""
    frame = read(run)
    frame = frame.filter(frame["label"].is_not_null())
    if not len(frame) or of_numbers(frame):
        return frame.clear()
    logits, batch = _kept(frame)
    several = batch.label.ndim == 2
    return frame[doubts.doubtful(probabilities(logits.numpy(), several=several), batch.label.numpy())]


def compare(
    run_a: RunDirectory, run_b: RunDirectory, metrics: Sequence[Metric], *, split: str | None = None
) -> list[Comparison]:
    """Compare run B with run A by their kept answers to the same examples, one comparison a metric.

    split: "test" or "val"; None takes test where both have it. Examples are matched by content, or where that is
    not known by path; where the runs disagree about an example's label, it is left out. DataError where nothing
    matches. Metrics that cannot be had from what was kept (rankings of more than 50 classes) are left out, and those by
    which no model is better than another.
    """
    frame_a, frame_b = read(run_a), read(run_b)
    split = split or ("test" if all("test" in set(f["split"]) for f in (frame_a, frame_b)) else "val")
    frame_a, frame_b = (frame.filter(frame["split"] == split) for frame in (frame_a, frame_b))
    key = "digest" if not (frame_a["digest"].has_nulls() or frame_b["digest"].has_nulls()) else "where"
    at_a, at_b = comparison.match(frame_a[key].to_list(), frame_b[key].to_list())
    frame_a, frame_b = frame_a[at_a], frame_b[at_b]
    agreed = [a == b for a, b in zip(frame_a["label"].to_list(), frame_b["label"].to_list(), strict=True)]
    if sum(agreed) < comparison.MIN_MATCHED:
        raise DataError(
            f"expected two runs that were scored by the same labels; of the {len(agreed)} examples that {run_a} and "
            f"{run_b} share, {sum(agreed)} have the same label in both. Train both on the same labels."
        )
    kept_a, kept_b = (_kept(frame.filter(agreed)) for frame in (frame_a, frame_b))
    names = (str(run_a), str(run_b))
    return [
        comparison.paired(metric, metric.update(*kept_a), metric.update(*kept_b), names=names)
        for metric in metrics
        if metric.ranks and ("top_labels" not in frame_a.columns or metric.name in BY_CLASS)
    ]


def _kept(frame: polars.DataFrame) -> tuple[Any, Any]:
    """Return kept answers as (logits (N, C) or numbers (N, 3), batch with label) for `Metric.update`."""
    import torch

    if of_numbers(frame):
        answers_NV = torch.from_numpy(frame.select("predicted", "low", "high").to_numpy(writable=True))
        return answers_NV, SimpleNamespace(label=torch.from_numpy(frame["label"].to_numpy(writable=True)))
    several = frame["label"].dtype.is_nested()
    if "top_labels" in frame.columns:
        names, probability_NC = _from_top(frame)
    else:
        columns = [name for name in frame.columns if name.startswith(_PREFIX)]
        names, probability_NC = [name.removeprefix(_PREFIX) for name in columns], frame.select(columns).to_numpy()
    place = {name: number for number, name in enumerate(names)}
    probability = torch.from_numpy(np.ascontiguousarray(probability_NC)).float().clamp(1e-12, 1)
    if several:
        label = torch.zeros_like(probability)
        for row, labels in enumerate(frame["label"].to_list()):
            label[row, [place[name] for name in labels if name in place]] = 1
        return probability.clamp(max=1 - 1e-7).logit(), SimpleNamespace(label=label)
    label = torch.tensor([place.get(name, -1) for name in frame["label"].to_list()])
    return probability.log(), SimpleNamespace(label=label)


def _from_top(frame: polars.DataFrame) -> tuple[list[str], np.ndarray]:
    """Put the kept probabilities in their classes' places; what is left is spread over the others."""
    truth = [name for name in frame["label"].to_list() if name is not None]
    names = sorted({name for top in frame["top_labels"].to_list() for name in top} | set(truth))
    place = {name: number for number, name in enumerate(names)}
    probability_NC = np.zeros((len(frame), len(names)))
    known = frame.select("top_labels", "top_probabilities", "label", "probability_of_label").rows()
    for row, (top, values, label, of_label) in enumerate(known):
        probability_NC[row, [place[name] for name in top]] = values
        if label is not None:
            probability_NC[row, place[label]] = of_label
    return names, _filled(probability_NC)


def _filled(probability_NC: np.ndarray) -> np.ndarray:
    unknown_NC = probability_NC == 0
    left_N = np.clip(1 - probability_NC.sum(1), 0, 1) / np.maximum(unknown_NC.sum(1), 1)
    return np.where(unknown_NC, left_N[:, None], probability_NC)
