"""The trainer: when. It holds what one training needs and can save and restore all of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.errors import EngramError, Stopped
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import Examples
from engram.data.order import positions
from engram.optim.average import Average
from engram.optim.build import optimizers
from engram.optim.schedule import Pace
from engram.train import loop, precision
from engram.train.callbacks.callback import Callback
from engram.train.checkpoint import Checkpoint, pack_optimizer, unpack_optimizer
from engram.train.plan import Plan


class CutShort(Exception):  # noqa: N818  (nothing went wrong)
    """An evaluation was not ended, because a stop was asked for."""


@dataclass
class Trainer:
    """One training. `seconds` counts time spent training, over all resumes.

    run: where it is kept, if anywhere. stopping: whether somebody asked for a stop.
    """

    task: Task
    model: nn.Module
    examples: Examples
    plan: Plan
    augmentation: Any = None
    callbacks: Sequence[Callback] = ()
    run: RunDirectory | None = None
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    average: Average | None = None
    stopping: bool = False
    _began: float = field(default_factory=time.monotonic)
    _before: float = 0.0

    def __post_init__(self) -> None:
        self.pace = Pace(steps=self.plan.steps)
        self.device = torch.device(self.plan.device)
        self.model = place(self.model, self.plan)
        self.optimizers = optimizers(self.model, self.plan.optimizer)
        if self.plan.optimizer.average_decay:
            self.average = Average(self.model)

    def fit(self) -> None:
        """Train to the end of the plan."""
        self._began = time.monotonic()
        loop.train(self)

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + time.monotonic() - self._began

    def tell(self, moment: str, **facts: float) -> None:
        """Call one moment of every callback, in their order."""
        if moment == "after_step" and self.average is not None:
            self.average.update(
                self.model, decay=min(self.plan.optimizer.average_decay, 1 - 1 / (1 + self.pace.step / 4))
            )
        for callback in self.callbacks:
            try:
                getattr(callback, moment)(self, **facts)
            except (EngramError, Stopped):
                raise
            except Exception as error:
                error.add_note(f"This happened in the callback {type(callback).__name__}, {moment}.")
                raise

    def autocast(self) -> AbstractContextManager[object]:
        """Compute in the plan's precision within the block."""
        return precision.autocast(self.plan.precision, self.device)

    def micro_batches(self, step: int) -> Iterator[Batch]:
        """The examples of one step, augmented, in pieces that fit into memory."""
        train = self.examples.splits["train"]
        chosen, epochs = positions(step, batch_size=self.plan.batch_size, count=len(train), seed=self.plan.seed)
        for start in range(0, len(chosen), self.plan.micro_batch):
            part = slice(start, start + self.plan.micro_batch)
            yield self.load(train[chosen[part]], augmented=True, epochs=epochs[part])

    def load(self, rows: np.ndarray, *, augmented: bool = False, epochs: np.ndarray | int = 0) -> Batch:
        """Encode some rows and bring them to the device, pictures laid out as the plan says."""
        augmentation = self.augmentation if augmented else None
        batch = self.examples.batch(rows, augmentation=augmentation, seed=self.plan.seed, epoch=epochs)
        return batch.to(self.device, channels_last=self.plan.channels_last)

    @torch.no_grad()
    def statistics(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Answer for some rows as they are; return the statistics of the task's first metric.

        `CutShort` where a stop is asked for on the way.
        """
        metric, parts = self.task.metrics[0], []
        self.model.eval()
        for start in range(0, len(rows), self.plan.micro_batch):
            if self.stopping:
                raise CutShort
            batch = self.load(rows[start : start + self.plan.micro_batch])
            with self.autocast():
                output = self.task.step(self.model, batch).output
            parts.append(metric.update(output, batch))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def checkpoint(self) -> Checkpoint:
        """Everything that the next step depends on."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, optimizer in enumerate(self.optimizers):
            tensors |= pack_optimizer(optimizer, f"optimizer-{index}")
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.values.items()}
        facts: dict[str, Any] = {"steps": self.pace.steps, "progress": self.pace.progress, "seconds": self.seconds}
        for name, callback in self._named_callbacks():
            kept, facts[name] = callback.state()
            tensors |= {f"{name}/{key}": value for key, value in kept.items()}
        return Checkpoint(step=self.pace.step, tensors=tensors, facts=facts)

    def _named_callbacks(self) -> Iterator[tuple[str, Callback]]:
        """Callbacks by the name under which checkpoints keep their state; further ones of one class are numbered."""
        seen: Counter[str] = Counter()
        for callback in self.callbacks:
            name = type(callback).__name__
            seen[name] += 1
            yield name if seen[name] == 1 else f"{name}-{seen[name]}", callback

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was taken."""
        self.model.load_state_dict(_part(checkpoint.tensors, "model"))
        if self.average is not None:
            for name, value in _part(checkpoint.tensors, "average").items():
                self.average.values[name].copy_(value)
        for index, optimizer in enumerate(self.optimizers):
            unpack_optimizer(optimizer, f"optimizer-{index}", checkpoint.tensors)
        facts = checkpoint.facts
        for name, callback in self._named_callbacks():
            if name in facts:  # one that was not there before begins anew
                callback.load_state(_part(checkpoint.tensors, name), facts[name])
        self.pace = Pace(steps=facts["steps"], step=checkpoint.step, progress=facts["progress"])
        self._before = facts["seconds"]


def _part(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors kept under `kind`, by their own names."""
    return {name.removeprefix(kind + "/"): value for name, value in tensors.items() if name.startswith(kind + "/")}


def place(model: nn.Module, plan: Plan) -> nn.Module:
    """Bring a network to the plan's device and memory layout."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    return model.to(plan.device).to(memory_format=layout)  # type: ignore[call-overload]
