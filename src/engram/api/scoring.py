"""`evaluate` and `compare`: how good is a run, and is it better than another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engram.api import reading
from engram.api.delivery import kind_of
from engram.api.delivery.kind import Exam
from engram.api.prediction import load
from engram.api.requests import DataRequest
from engram.core import machine
from engram.core.errors import DataError, RunError, unknown
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions, scored
from engram.evaluate.evaluation import evaluate as say
from engram.predict.answering import class_names
from engram.predict.checking import checked
from engram.predict.opening import floors_of

OF_LEARNING = ("one_class", "single_example", "unbalanced")
"""Findings that matter to whoever learns from data, and not to whoever is scored on it."""


def evaluate(
    run: Any,
    data: Any = None,
    *,
    split: str | None = None,
    target: Any = None,
    input: Any = None,
    device: str | None = None,
    model: Any = None,
    trust_source: bool = False,
) -> dict[str, Any]:
    """Score a run on labelled data, with intervals, beside its floors.

    data: any form that training takes. Where it has splits, its test rows count, or those of `split`. None: the
    scores that training measured on its own test rows (validation rows where there are none).
    """
    directory = checked(run)
    if data is None:
        return _measured(directory, split)
    predictor = load(directory, device=device, model=model, trust_source=trust_source)
    task = predictor.task
    if target is None and any(feature.takes == "rest" for feature in predictor.features.values()):
        target = DataRequest.recorded(directory.read_run().get("options", {})).target  # any column may be one
    with machine.keeping_memory():
        asked = DataRequest(task=task.name, target=target, input=input)
        read = reading.read(data, asked, features=predictor.features, only=split)
        reading.warn([finding for finding in read.findings if finding.kind not in OF_LEARNING])
        rows = read.examples.splits["test"]
        if len(rows) == 0:
            raise DataError(f"expected examples to score; none of the {len(read.table):,} in {data} could be read.")
        exam = Exam(task, read.examples, floors_of(directory, task, predictor.features), predictor.precision)
        found = kind_of(task).answered(exam, predictor.module, rows)
        names = class_names(task, predictor.features)
        return say(task, found.outputs, names, floors=found.floors, network=found.network)


def _measured(run: RunDirectory, split: str | None) -> dict[str, Any]:
    results = run.read_run().get("results") or {}
    if not results:
        raise RunError(f"{run} has no scores: its training has not ended. Go on with it: engram train --resume {run}")
    name = split or ("test" if "test" in results else "val")
    if name not in results:
        raise unknown("split with scores", name, results)
    return {"split": name, **results[name]}


def compare(run_a: Any, run_b: Any) -> dict[str, Any]:
    """Compare run B with run A on the examples that both were scored on."""
    a, b = checked(run_a), checked(run_b)
    tasks = [run.read_run().get("task") for run in (a, b)]
    if tasks[0] != tasks[1]:
        raise RunError(f"expected two runs of one task; {run_a} is {tasks[0]} and {run_b} is {tasks[1]}.")
    from engram.core.registry import find

    task = find(reading.TASKS, str(tasks[0]), base="task")()
    found = (scored if task.answers.calibration is None else predictions).compare(a, b, task.metrics)
    return {"a": str(run_a), "b": str(run_b), "comparisons": [asdict(one) for one in found]}
