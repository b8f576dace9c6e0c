"""Task and Step: what an application of deep learning tells the engine, and all the engine knows of it.

A task is *what* is learned: which features go in, which come out, the network, the loss, the
answer, how it is scored. The trainer is *when*. Adding an application is adding one file in
`engram/tasks/`; the command line, the report and the contract tests find it by themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from engram.core.answers import Answers
from engram.core.evidence import Evidence
from engram.core.registry import snake_case

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from engram.core.claim import Claim


class Batch(SimpleNamespace):
    """Some examples, encoded: one attribute per role (`batch.image`, `batch.label`), first axis the example.

    `rows` are the examples' row numbers in the table, which make randomness reproducible. `importance` (B,)
    says how much each example counts in the loss: 1, unless classes are unbalanced.
    """

    rows: np.ndarray
    importance: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: Any, *, channels_last: bool) -> Batch:
        """Return the batch with every tensor on a device, pictures (four axes) channels last in memory or plainly."""
        import torch

        def moved(value: Tensor) -> Tensor:
            value = value.to(device, non_blocking=True)
            if value.ndim == 4 and channels_last:
                return value.contiguous(memory_format=torch.channels_last)
            # `contiguous` would let a single channel keep the strides of channels last
            return value.reshape(-1).view(value.shape) if value.ndim == 4 else value

        def placed(value: Any) -> Any:
            own = hasattr(value, "to") and not isinstance(value, torch.Tensor)  # a batch that knows how to move itself
            return value.to(device) if own else with_tensors(value, moved)

        return Batch(**{name: placed(value) for name, value in vars(self).items()})


def with_tensors(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return a value with every tensor in it changed, within mappings, lists, tuples and named tuples too."""
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: with_tensors(inner, change) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_tensors(inner, change) for inner in value))
    if isinstance(value, list | tuple):
        return type(value)(with_tensors(inner, change) for inner in value)
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """Return every tensor in a value, in order."""
    found: list[Tensor] = []
    with_tensors(value, found.append)
    return found


@dataclass
class Step:
    """What one forward pass gave: the loss summed over examples, their total weight, and the output.

    The engine divides by the total weight over all micro-batches and processes, so that accumulating
    gradients equals the full batch. `output` is what metrics read; it carries no obligation to have gradients.
    """

    loss_sum: Tensor
    weight: float | Tensor
    output: Any = None


@dataclass
class NoOptions:
    """Options of `predict` for tasks that have none."""


@dataclass(frozen=True)
class Worth:
    """From when on a larger network pays.

    rows: to learn from; on fewer the smaller one does as well. passes: over the data, or, where the data are many,
    examples seen.
    """

    rows: int
    passes: float
    examples: float


class Task:
    """One application of deep learning. Subclasses state facts and small functions, and hold no state.

    does: what a model of it does, in words that go on from "a model that", "{classes}" for how
    many there are. example: what one scored example is called,
    "" for what its input is called. unseen: what is new to a model about those that it is scored on.
    inputs, target: role -> feature class. metrics: of answers, the one that counts first.
    floors: cheap strong baselines, trained and scored beside the network. floors_compete: whether those that may be
    delivered compete with it.
    couples_examples: True where one example's loss depends on the others in its batch, so that it may not be taken
    in pieces.
    sizes: larger networks than "small", and from when on they pay.
    least_steps: that a training may take, however many passes over the data they are.
    answers: which kind they are; what is fitted after training, scored, kept and shown hangs on it.
    usual_share: the network's in a blend with a floor, and how far from it a share lies.
    balances: whether examples of rare classes count more where classes are unbalanced.
    """

    does: ClassVar[str] = ""
    example: ClassVar[str] = ""
    unseen: ClassVar[str] = "that it never learned from"
    inputs: ClassVar[Mapping[str, Any]] = {}
    target: ClassVar[Mapping[str, Any]] = {}
    metrics: tuple[Any, ...] = ()
    floors: ClassVar[tuple[Any, ...]] = ()
    floors_compete: bool = True
    options: ClassVar[type] = NoOptions
    couples_examples: ClassVar[bool] = False
    answers: ClassVar[Answers] = Answers()
    usual_share: ClassVar[tuple[float, float]] = (0.5, 0.3)
    balances: ClassVar[bool] = True
    sizes: ClassVar[Mapping[str, Worth]] = {}
    least_steps: ClassVar[int] = 450

    @property
    def name(self) -> str:
        """The task's name, which is its file's name."""
        return snake_case(type(self).__name__)

    @property
    def competing(self) -> list[str]:
        """The names of the floors that may be delivered, alone or blended with the network."""
        return [floor.name for floor in self.floors if floor.deliverable] if self.floors_compete else []

    @property
    def asked(self) -> str:
        """The command by which a run of it is asked, its folder written RUN; "" where its maker alone can ask it."""
        return self.answers.asked if self.inputs else ""

    @property
    def selection(self) -> Any:
        """The metric that selects the best weights in training; reads `Step.output`. By default the first metric.

        Where answers are texts, which take too long to be made in training, it is none of `metrics`.
        """
        return self.metrics[0]

    def matches(self, table: Any) -> Evidence:
        """Say how well a table fits this task, and why."""
        raise AssertionError("a task must say this")

    def arranged(
        self,
        table: Any,
        *,
        target: Any,
        inputs: Any,
        wishes: Mapping[str, Any],
        features: Mapping[str, Any] | None = None,
        division: str = "",
        seed: int = 0,
    ) -> Any:
        """Return a table of other rows, where a row of the user's is no value by itself; None leaves it as it is.

        Its rows are not divided among splits: `examples` divides what is in each.
        target, inputs: columns that the user named, which are then done with. wishes: see `engram.core.wishes`.
        features: fitted ones, by role, where a run is asked about new data. division: "time", "random" or "".
        """
        return None

    def model(self, size: str, features: Any) -> nn.Module:
        """Build the network for fitted features. `size` is "small", "medium" or "large"."""
        raise AssertionError("a task must say this")

    def fit(self, features: Mapping[str, Any], stored: Mapping[str, Any], rows: np.ndarray) -> None:
        """Fit the features, by role, on the training rows; each by itself, unless roles have something in common."""
        for role, feature in features.items():
            feature.fit(stored[role], rows)

    def see(self, features: Mapping[str, Any]) -> None:
        """Take note of what fitted features, by role, decide of the task. Called wherever they are known."""

    def examples(self, examples: Any) -> Any:
        """What is learned from, where an example is not one row of the table. Takes and gives `data.Examples`."""
        return examples

    def most_passes(self, rows: int) -> float:
        """After how many passes over so many training rows more would bring nothing."""
        return 200

    def augmentations(self, features: Any, *, passes: float) -> dict[str, Any]:
        """Candidate augmentations (`engram.data.augment`) by name, the one to prefer first; empty for none.

        passes: how often training will see each example; the more often, the stronger the change that pays.
        Where there are several candidates and the budget allows, a short trial decides among them.
        """
        return {}

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Run the network on a batch and measure the loss. Called in training and in validation."""
        raise AssertionError("a task must say this")

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Any:
        """Answer without knowing the target: raw output, first axis the example."""
        raise AssertionError("a task must say this")

    def graph(self, model: nn.Module, inputs: Batch) -> Any:
        """What an exported model computes: the model's output for its inputs, in the order of `graph_inputs`.

        By default that is the answer. A task that answers by a loop exports one pass of it.
        """
        return self.predict(model, inputs, self.options())

    @property
    def graph_inputs(self) -> tuple[str, ...]:
        """The roles that an exported model reads, in the order in which the network takes them."""
        return tuple(self.inputs)

    def decode(self, output: Any, features: Any, options: Any) -> list[dict[str, Any]]:
        """Turn raw output into one answer per example, in the user's terms, ready for JSON."""
        raise AssertionError("a task must say this")

    def claim(self, model: Any, example: Batch, features: Any) -> Claim | None:
        """Put the answer to one example so that other inputs can be asked about it; None: it is not to be explained.

        By default the likeliest label, where outputs are logits. features: by role, as attributes.
        """
        if not self.answers.are_logits:
            return None
        from engram.core.claim import Claim, log_odds

        exclusive = self.answers.calibration == "softmax"

        def scores(model: Any, batch: Batch) -> Tensor:
            logits_BC = self.predict(model, batch, self.options()).double()
            return log_odds(logits_BC) if exclusive else logits_BC

        names = getattr(features, next(iter(self.target))).names
        chosen = int(scores(model, example)[0].argmax())
        return Claim(scores, chosen, lambda number: str(names[number]), exclusive=exclusive)

    def completed(self, answer: dict[str, Any], stored: Mapping[str, Any], features: Any) -> dict[str, Any]:
        """An answer with what only its own input says, such as the times that a forecast is for.

        stored: what `Feature.store` gave of the input, by role.
        """
        return answer

    def plain(self) -> Self:
        """The task as one would have written its step by hand (`recipe="plain"`): without what was not asked for.

        What is delivered is the network then, which floors are scored beside and do not replace.
        """
        task = copy.copy(self)
        task.floors_compete = False
        return task

    @classmethod
    def sample(cls) -> Sample:
        """Tiny real or made data, and the score that a contract test must reach on it."""
        raise AssertionError("a task must say this")


@dataclass
class Sample:
    """Data for the contract test of a task: anything `engram.train` takes, and the floor of its first metric."""

    data: Any
    score: float
    options: Mapping[str, Any] | None = None
