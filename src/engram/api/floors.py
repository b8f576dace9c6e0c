"""The floors of a run: fitted before the network is trained, kept with the run, scored beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors
from torch import nn

from engram.api.reading import Reading
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import namespace
from engram.predict.opening import read_tensors
from engram.train.checkpoint import separate

FILE = "floors.safetensors"


def fit(reading: Reading, *, seconds: float) -> dict[str, nn.Module]:
    """Fit the task's floors on the training rows, within about `seconds` in all."""
    examples = reading.examples
    rows = np.random.default_rng(0).permutation(examples.splits["train"])

    def batches(*roles: str) -> Iterable[Batch]:
        return examples.batches(rows, size=1000, roles=roles)

    floors = reading.task.floors
    each = seconds / max(1, len(floors))
    return {floor.name: floor.fit(batches, namespace(examples.features), seconds=each).eval() for floor in floors}


def save(run: RunDirectory, floors: dict[str, nn.Module]) -> None:
    """Write the fitted floors; what they come to depends on the time there was, so a resume takes these."""
    fitted = {f"{name}/{key}": value for name, floor in floors.items() for key, value in floor.state_dict().items()}
    run.write(FILE, save_tensors(separate(fitted)))


def load(run: RunDirectory, task: Task, features: Any) -> dict[str, nn.Module]:
    """Read the floors as training fitted them. features: the fitted ones by role."""
    tensors = read_tensors(run, FILE)
    built = {}
    for floor in task.floors:
        module = floor.build(namespace(features))
        prefix = floor.name + "/"
        try:
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        except RuntimeError as error:
            raise RunError(f"{run / FILE} does not fit the floor {floor.name} ({error}).") from None
        built[floor.name] = module.eval()
    return built
