"""The floors of a run: fitted before the network is trained, kept with the run, scored beside it."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors
from torch import nn

from engram.api.reading import Reading
from engram.core import events
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import namespace
from engram.evaluate.evaluation import collect
from engram.predict.opening import FLOORS
from engram.train.checkpoint import separate

UNHURRIED = 60.0
"""Seconds for floors where no budget is given: enough to end by themselves, so that the same steps always give the same
run, however busy the machine is."""

SIZE, PARTS = 1000, 8
"""Rows read together; where they differ in length, in so many parts."""


def fit(reading: Reading, *, seconds: float) -> dict[str, nn.Module]:
    """Fit the task's floors on the training rows, within about `seconds` in all; what one leaves, the next may take."""
    features, floors = namespace(reading.examples.features), installed(reading.task)
    batches = batches_of(reading, reading.examples.splits["train"])
    until, fitted = time.monotonic() + seconds, {}
    for done, floor in enumerate(floors):
        each = max(0.1, until - time.monotonic()) / (len(floors) - done)
        fitted[floor.name] = floor.fit(batches, features, seconds=each).eval()
    return fitted


def refit(reading: Reading, name: str, fitted: nn.Module, *, seconds: float) -> nn.Module:
    """Fit one floor again, on training and validation rows: nothing about it is left to be chosen."""
    floor = {floor.name: floor for floor in reading.task.floors}[name]
    batches = batches_of(reading, reading.examples.learned_and_chosen_by())
    return floor.refit(fitted, batches, namespace(reading.examples.features), seconds=seconds).eval()


def several(reading: Reading, name: str, fitted: nn.Module, *, seconds: float) -> nn.Module:
    """What is delivered in place of a floor that was fitted again."""
    floor = {floor.name: floor for floor in reading.task.floors}[name]
    batches = batches_of(reading, reading.examples.learned_and_chosen_by())
    return floor.several(fitted, batches, namespace(reading.examples.features), seconds=seconds).eval()


def installed(task: Task) -> list[Any]:
    """The task's floors, less those that need what is not installed, which are named."""
    lacking = [floor for floor in task.floors if floor.needs and importlib.util.find_spec(floor.needs) is None]
    for floor in lacking:
        events.warn(
            f"The floor {floor.name} is not compared: {floor.needs} is not installed. "
            f"Install it: pip install 'engram[{floor.extra}]'"
        )
    return [floor for floor in task.floors if floor not in lacking]


def seconds_to_answer(reading: Reading, fitted: dict[str, nn.Module]) -> float:
    """Seconds in which fitted floors answer for the rows that are scored, and what is delivered in their place too."""
    if reading.task.answers.calibration is None:
        return 0.0
    splits, members = reading.examples.splits, {floor.name: floor.members for floor in reading.task.floors}
    some, seconds = splits["train"][:SIZE], 0.0
    for name, module in fitted.items():
        began = time.monotonic()
        collect(reading.task, module, reading.examples, some, metrics=())
        seconds += (1 + members[name]) * (time.monotonic() - began)
    asked = sum(len(rows) for name, rows in splits.items() if name != "train")
    return seconds / len(some) * asked


def offered(task: Task, fitted: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The fitted floors that may be delivered."""
    return {name: fitted[name] for name in task.competing if name in fitted}


def batches_of(reading: Reading, rows: np.ndarray) -> Any:
    """Some rows as floors read them: mixed, those of a thousand that are about as long together."""
    mixed, examples = np.random.default_rng(0).permutation(rows), reading.examples
    parts = 1 if examples.lengths(rows[:1]) is None else PARTS

    def batches(*roles: str) -> Iterator[Batch]:
        for start in range(0, len(mixed), SIZE):
            ordered, _ = examples.sorted(mixed[start : start + SIZE])
            for part in np.array_split(ordered, min(parts, len(ordered))):
                yield examples.batch(part, roles=roles)

    return batches


def save(run: RunDirectory, floors: dict[str, nn.Module]) -> None:
    """Write the fitted floors; what they come to depends on the time there was, so a resume takes these."""
    fitted = {f"{name}/{key}": value for name, floor in floors.items() for key, value in floor.state_dict().items()}
    run.write(FLOORS, save_tensors(separate(fitted)))
