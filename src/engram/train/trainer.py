"""The trainer: when. It holds what one training needs and can save and restore all of it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core import events, memory
from engram.core.errors import EngramError, RunError, Stopped
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import Examples
from engram.data.order import by_length, in_turn, positions, seed_within
from engram.optim.average import Average
from engram.optim.build import optimizers
from engram.optim.schedule import Pace
from engram.train import loop, precision
from engram.train.callbacks.callback import Callback, Retake
from engram.train.checkpoint import Checkpoint, pack_optimizer, unpack_optimizer
from engram.train.decisions import Decision, Decisions
from engram.train.distributed import Team
from engram.train.gradients import Gradients
from engram.train.plan import Plan


class CutShort(Exception):  # noqa: N818  (nothing went wrong)
    """An evaluation was not ended, because a stop was asked for."""


@dataclass
class Trainer:
    """One training, by one process or a team.

    `seconds` counts time spent training, over all resumes. run: where it is kept, if anywhere. stopping: whether
    somebody asked for a stop.
    """

    task: Task
    model: nn.Module
    examples: Examples
    plan: Plan
    augmentation: Any = None
    callbacks: Sequence[Callback] = ()
    run: RunDirectory | None = None
    decisions: Decisions = field(default_factory=Decisions)
    team: Team = field(default_factory=Team)
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    average: Average | None = None
    stopping: bool = False
    _began: float = field(default_factory=time.monotonic)
    _before: float = 0.0

    def __post_init__(self) -> None:
        self.pace = Pace(steps=self.plan.steps)
        self.device = torch.device(self.plan.device)
        self.model = place(self.model, self.plan)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizers = optimizers(self.model, self.plan.optimizer, divide=self.team.divided)
        self.gradients = Gradients(self.parameters, self.team)
        self._buffers: list[Tensor] = []
        self._told: list[Decision] = []
        if self.plan.optimizer.average_decay:
            self.average = Average(self.model)

    def fit(self) -> None:
        """Train to the end of the plan. In a team, with the weights and from the step of the first process."""
        self._began = time.monotonic()
        if len(set(self.team.gathered(self.pace.step))) > 1:
            raise RunError(
                "expected all processes to go on from one step; some found another checkpoint than others. "
                "Put the run directory on storage that all machines share."
            )
        averages = self.average.values.values() if self.average else ()
        self.team.copy_first([*self.model.parameters(), *self.model.buffers(), *averages])
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

    @property
    def micro_batch(self) -> int:
        """How many examples are taken at once."""
        return self.decisions.micro_batch(self.plan.micro_batch)

    def micro_batches(self, step: int) -> Iterator[Batch]:
        """This process's examples of one step, augmented, in pieces that fit into memory.

        All randomness is seeded anew for each piece.
        """
        train, plan, number = self.examples.splits["train"], self.plan, self.decisions.batch(step)
        chosen, epochs = positions(
            number, batch_size=plan.batch_size, count=len(train), seed=plan.seed, window=plan.window
        )
        for part in self.team.share(self._pieces(train[chosen])):
            _seed(seed_within(number, int(part[0]), seed=plan.seed), self.device)
            yield self.load(train[chosen[part]], augmented=True, epochs=epochs[part])

    def _pieces(self, rows: np.ndarray) -> list[np.ndarray]:
        """Cut a batch into pieces, about equal ones, or where examples differ in length, of similar ones, unless the
        network takes several in a row.
        """
        lengths = self.examples.lengths(rows)
        if lengths is None or self.task.couples_examples:
            return np.array_split(np.arange(len(rows)), math.ceil(len(rows) / self.micro_batch))
        if getattr(self.model, "packs", False):
            return in_turn(lengths, most=self.micro_batch)
        return by_length(lengths, most=self.micro_batch)

    def begin_step(self) -> None:
        """Keep what a forward pass may change, so that the step can be taken again."""
        self.model.train()
        self.team.copy_first(_felt(self.model))
        self._buffers = [buffer.clone() for buffer in self.model.buffers()]

    @torch.no_grad()
    def undo_step(self) -> None:
        """Forget a step that has not moved the weights yet."""
        for buffer, before in zip(self.model.buffers(), self._buffers, strict=True):
            buffer.copy_(before)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def advance(self) -> None:
        """Count a step, and put in force what was decided then before."""
        self.pace.advance()
        self._heed_decisions()

    def decide(self, decision: str, **facts: Any) -> None:
        """Write down what is decided at this step, and put it in force."""
        self.decisions.record(decision, step=self.pace.step, **facts)
        self._heed_decisions()

    def _heed_decisions(self) -> None:
        for line in self.decisions.take(self.pace.step):
            if line["decision"] == "steps":
                self.pace.steps = line["steps"]
            if line["decision"] == "end":
                self.pace.steps = self.pace.step
            if "message" in line and line not in self._told:
                self._told.append(line)
                events.emit("decision", **{**line, "step": self.pace.step, "at": line["step"]})

    def take_smaller_pieces(self) -> None:
        """Memory ran out: from this step on, take half as many examples at once. Raises `Retake`."""
        self.undo_step()
        size = memory.halved(self.micro_batch)
        message = f"Memory ran out at step {self.pace.step}: examples are now taken {size} at a time."
        if self.task.couples_examples:
            message += " Their losses depend on one another, and do so within these pieces only."
        self.decide("micro_batch", micro_batch=size, message=message)
        raise Retake

    def load(self, rows: np.ndarray, *, augmented: bool = False, epochs: np.ndarray | int = 0) -> Batch:
        """Encode some rows and bring them to the device, pictures laid out as the plan says."""
        augmentation = self.augmentation if augmented else None
        batch = self.examples.batch(rows, augmentation=augmentation, seed=self.plan.seed, epoch=epochs)
        return batch.to(self.device, channels_last=self.plan.channels_last)

    @torch.no_grad()
    def statistics(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Answer for some rows as they are, shared by all processes; return the statistics of the metric that selects.

        Where memory runs out, for fewer at once. `CutShort` where one process alone is asked to stop on the way.
        """
        self.team.copy_first(self.model.buffers())
        self.model.eval()
        mine, places = self.examples.sorted(np.array_split(rows, self.team.size)[self.team.rank])
        found = _joined(memory.in_pieces(self._statistics, mine, size=self.micro_batch))
        own = {name: values[places] for name, values in found.items()}
        return _joined([part for part in self.team.gathered(own) if part])

    def _statistics(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        if self.stopping and self.team.size == 1:
            raise CutShort
        batch = self.load(rows)
        with self.autocast():
            output = self.task.step(self.model, batch).output
        return self.task.selection.update(output, batch)

    def checkpoint(self) -> Checkpoint:
        """Everything that the next step depends on."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, optimizer in enumerate(self.optimizers):
            tensors |= pack_optimizer(optimizer, f"optimizer-{index}")
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.values.items()}
        facts: dict[str, Any] = {"steps": self.pace.steps, "progress": self.pace.progress, "seconds": self.seconds}
        facts["decisions"] = self.decisions.taken
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
        """Go to where a checkpoint was taken. Time that has been spent stays spent."""
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
        self.pace.steps, self.pace.step, self.pace.progress = facts["steps"], checkpoint.step, facts["progress"]
        self._before, self._began = max(facts["seconds"], self.seconds), time.monotonic()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.decisions.rewind(facts["decisions"])
        self._heed_decisions()

    def sound(self) -> bool:
        """Whether all that is learned is finite. Buffers may hold infinities, such as masks do."""
        names = {name for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        averages = [value for name, value in self.average.values.items() if name in names] if self.average else []
        states = [value for made in self.optimizers for state in made.state.values() for value in state.values()]
        learned = [*self.parameters, *averages, *map(torch.as_tensor, states)]
        return all(t.isfinite().all() for t in learned) and not any(b.isnan().any() for b in self.model.buffers())


def _felt(model: nn.Module) -> list[Tensor]:
    """Buffers that learning may depend on: not running statistics, by which answers alone are normalised."""
    unfelt = {
        id(buffer)
        for layer in model.modules()
        if isinstance(layer, nn.modules.batchnorm._NormBase)
        for buffer in layer.buffers(recurse=False)
    }
    return [buffer for buffer in model.buffers() if id(buffer) not in unfelt]


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Statistics of several pieces as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _part(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors kept under `kind`, by their own names."""
    return {name.removeprefix(kind + "/"): value for name, value in tensors.items() if name.startswith(kind + "/")}


def _seed(seed: int, device: torch.device) -> None:
    """Seed what a step draws from. To seed devices that nobody uses, too, takes longer than a small network's step."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def place(model: nn.Module, plan: Plan) -> nn.Module:
    """Bring a network to the plan's device and memory layout."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    return model.to(plan.device).to(memory_format=layout)  # type: ignore[call-overload]
