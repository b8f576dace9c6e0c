"""A delivered model as a program: the operations of one answer in a row, without Python between them.

A small network takes half of its time for a few examples between its operations, and keeps Python's lock meanwhile from
whoever reads requests and writes answers. Its operations as they were recorded for some examples (`torch.jit.trace`,
frozen) are called at once. They are the same ones, so that answers are equal to the last bit; that is checked for each
number of examples before the first is answered so. Where they are not, or where the network's Python decides by what it
sees, the model is called as ever.

Shapes: B examples.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.task import Batch, Task
from engram.predict.answering import answer, device_of, filters_last

MOST = 16
"""Examples at once: with more, what is between operations hardly counts."""

COMPARED = (2, 2, 2, *range(1, MOST + 1))
"""Numbers of examples: each of them, after the first calls, by which a program is optimised."""

WORTH = 0.05
"""Seconds: nor does it where a single answer takes longer."""

TRUSTED = tuple(str(folder) for folder in (Path(__file__).parents[1], Path(torch.__file__).parent))
"""Folders of code that decides by the shapes of what it sees alone."""


@dataclass(frozen=True)
class Program:
    """What answers up to `MOST` examples of some shapes, by role, with a task's default options."""

    run: Any
    options: Any
    shapes: Mapping[str, tuple[int, ...]]
    channels_last: bool

    def takes(self, batch: Batch, options: Any) -> bool:
        """Whether it answers such a batch."""
        return len(batch) <= MOST and options == self.options and self.shapes == _shapes(batch)

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (output, unfamiliarity (B,)), as `answer` does."""
        inputs = batch.to("cpu", channels_last=self.channels_last)
        with torch.inference_mode():
            found: tuple[Tensor, Tensor] = self.run(*(getattr(inputs, role) for role in self.shapes))
        return found


class _Answering(nn.Module):
    """An answer as a function of tensors."""

    def __init__(self, task: Task, module: nn.Module, roles: tuple[str, ...]) -> None:
        super().__init__()
        self.task, self.module, self.roles = task, module, roles

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        inputs = Batch(rows=None, **dict(zip(self.roles, tensors, strict=True)))
        call: Any = self.module.watched
        output, unfamiliarity_B = call(lambda model: self.task.predict(model, inputs, self.task.options()))
        return output.float(), unfamiliarity_B.float()


def recorded(task: Task, module: nn.Module, example: Batch, *, precision: str = "float32") -> Program | None:
    """Record how a delivered module answers; None where a program would gain nothing, or answer otherwise.

    example: one example, encoded; noise of its shape is what both ways to answer are compared on.
    """
    tensors = [value for role, value in vars(example).items() if role != "rows"]
    plain = all(isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1 for x in tensors)
    if task.answers.calibration is None or not plain:
        return None
    shapes = _shapes(example)
    if device_of(module).type != "cpu" or _seconds(task, module, example, precision) > WORTH:
        return None
    channels_last = filters_last(module)
    few = _noise(shapes, 2).to("cpu", channels_last=channels_last)
    try:
        run = _traced(_Answering(task, module, tuple(shapes)), [getattr(few, role) for role in shapes], precision)
    except Exception:  # whatever the user's own code raises where it is recorded
        return None
    program = Program(run, task.options(), shapes, channels_last)
    return program if run and all(_equal(program, task, module, number, precision) for number in COMPARED) else None


def _seconds(task: Task, module: nn.Module, example: Batch, precision: str) -> float:
    """How long an answer takes where nothing disturbs it."""
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        answer(task, module, example, precision=precision)
        taken.append(time.perf_counter() - began)
    return min(taken)


def _traced(answering: nn.Module, tensors: list[Tensor], precision: str) -> Any:
    """The recorded program; None where Python that is not trusted decides by what it sees."""
    bfloat16 = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with bfloat16:
            traced = torch.jit.trace(answering.eval(), tuple(tensors), check_trace=False)
        found = torch.jit.freeze(traced, optimize_numerics=False)  # not where it would add casts of its own
    decided = [one for one in said if issubclass(one.category, torch.jit.TracerWarning)]
    return found if all(one.filename.startswith(TRUSTED) for one in decided) else None


def _equal(program: Program, task: Task, module: nn.Module, number: int, precision: str) -> bool:
    noise = _noise(program.shapes, number)
    return all(map(torch.equal, program(noise), answer(task, module, noise, precision=precision)))


def _noise(shapes: Mapping[str, tuple[int, ...]], number: int) -> Batch:
    """Some examples of noise; pictures lie in memory as they are encoded, channels last."""
    random, made = torch.Generator().manual_seed(number), {}
    for role, (first, *rest) in shapes.items():
        noise = torch.randn(number, *rest, first, generator=random)
        made[role] = noise.movedim(-1, 1) if len(rest) == 2 else noise.movedim(-1, 1).contiguous()
    return Batch(rows=range(number), **made)


def _shapes(batch: Batch) -> dict[str, tuple[int, ...]]:
    return {role: tuple(value.shape[1:]) for role, value in vars(batch).items() if role != "rows"}
