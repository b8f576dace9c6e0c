"""What every task promises: it learns its sample, and its loss, answers and scores mean what the engine assumes."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engram import api
from engram.api.reading import Reading, read
from engram.api.requests import DataRequest
from engram.core.task import Batch, Sample, Step, Task
from engram.data.examples import namespace
from engram.train import check
from engram.train.plan import Plan

NUM_ROWS, FEW_ROWS = 12, 4


def check_task(task: type[Task]) -> None:
    """Check a task class that the registry finds by its name, on the data of its `sample()`."""
    sample = task.sample()
    reading = read(sample.data, DataRequest(task=task().name))
    made = reading.task
    network = made.model("small", namespace(reading.examples.features)).eval()
    batch = reading.examples.batch(reading.examples.splits["train"][:NUM_ROWS])
    step = check_step(made, network, batch)
    check_metrics(made, network, step, batch)
    check_network(made, network, reading)
    check_answers(made, network, reading, batch)
    with tempfile.TemporaryDirectory() as folder:
        check_learning(made, sample, reading, Path(folder) / "run")


def check_step(task: Task, network: nn.Module, batch: Batch) -> Step:
    """The loss is one finite number with gradients, its weight above zero, the output one row per example."""
    step = task.step(network, batch)
    assert step.loss_sum.ndim == 0, f"expected the sum of the losses; got shape {tuple(step.loss_sum.shape)}"
    assert step.loss_sum.isfinite() and step.loss_sum.requires_grad, "expected a finite loss with gradients"
    assert float(step.weight) > 0, f"expected a weight above zero; got {step.weight}"
    assert len(step.output) == len(batch), "expected output with one row per example"
    return step


@torch.no_grad()
def check_metrics(task: Task, network: nn.Module, step: Step, batch: Batch) -> None:
    """Every metric has statistics per example, and a number from them; weights of one change nothing."""
    assert task.metrics, "expected at least one metric: the first counts"
    by_step, output = task.selection, step.output.detach()
    read = {by_step: output}
    read |= {m: _answer(task, network, batch) if task.answers.written else output for m in task.metrics}
    for metric, seen in read.items():
        statistics = metric.update(seen, batch)
        for name, values in statistics.items():
            assert len(values) == len(batch), f"{metric.name}: {name} has {len(values)} rows, not {len(batch)}"
        value = metric.compute(statistics)
        if math.isnan(value) and not metric.ranks:
            continue  # only what is delivered has intervals
        assert math.isfinite(value), f"{metric.name} is {value}"
        weighted = metric.compute(statistics, weights=np.ones(len(batch)))
        assert math.isclose(value, weighted, abs_tol=1e-6), (
            f"{metric.name}: weights of one gave {weighted}, not {value}"
        )


def check_network(task: Task, network: nn.Module, reading: Reading) -> None:
    """What the first minute checks of a user's network holds for the task's own: accumulation, leaks, learning."""
    found = check.check(task, network, reading.examples, Plan(micro_batch=FEW_ROWS), seconds=300)
    for one in found.checks:
        assert one.verdict in ("ok", "idle"), f"{one.name}: {one.message}"


@torch.no_grad()
def check_answers(task: Task, network: nn.Module, reading: Reading, batch: Batch) -> None:
    """Answers need no target, are one per example, and JSON can hold them."""
    answers = task.decode(_answer(task, network, batch), namespace(reading.examples.features), task.options())
    assert len(answers) == len(batch), f"expected {len(batch)} answers; got {len(answers)}"
    assert json.loads(json.dumps(answers)) == answers, "expected answers that JSON can hold"


def _answer(task: Task, network: nn.Module, batch: Batch) -> Any:
    """What a task answers to inputs alone."""
    inputs = Batch(rows=batch.rows, **{role: getattr(batch, role) for role in task.inputs})
    return task.predict(network, inputs, task.options())


def check_learning(task: Task, sample: Sample, reading: Reading, run: Path) -> None:
    """Training on the sample reaches its score, and the saved run answers."""
    api.train(sample.data, task=task.name, out=str(run), device="cpu", **(sample.options or {"steps": 100}))
    metric = task.metrics[0]
    value = number(api.evaluate(str(run))["metrics"][metric.name])
    reached = value >= sample.score if metric.higher_is_better else value <= sample.score
    assert reached, f"expected {metric.name} {sample.score} on the sample; got {value}"
    items = [reading.roles[next(iter(task.inputs))].values[row] for row in range(3)]
    answers = api.predict(str(run), items)
    assert len(answers) == len(items), f"expected {len(items)} answers; got {len(answers)}"


def number(score: Any) -> float:
    """The value of a score, which may carry its interval."""
    return float(score["value"] if isinstance(score, dict) else score)
