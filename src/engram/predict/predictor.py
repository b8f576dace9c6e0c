"""The predictor: from a run to answers. Raw item in, decoded answer out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core import events
from engram.core.errors import ConfigError, DataError, unknown
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data import source
from engram.data.examples import namespace
from engram.data.infer import rows_of
from engram.data.store import collate, in_memory
from engram.features.feature import Feature
from engram.predict.answering import BATCH_SIZE, answer, class_names, device_of
from engram.predict.checking import checked
from engram.predict.opening import open_run
from engram.predict.program import Program, recorded

Answer = dict[str, Any]
"""What a task decodes ({"label", "probability", "probabilities"} or {"labels", "probabilities"}), and "input",
"unfamiliar", "unfamiliarity"; or {"input", "error"} for an item that cannot be read. Ready for JSON."""


TOGETHER = 16
"""Batches of texts that are sorted by length together."""


@dataclass
class Predictor:
    """A trained run, ready to answer.

    features: the fitted ones by role; `by_role` holds the same as attributes. network: as it was trained, for a use
    of your own. module: what is delivered, network, calibration and unfamiliarity, in evaluation mode; the network
    itself for a task that adds nothing to it. precision: "float32", or "bfloat16" where the run was planned so.
    program: what answers in the module's place where there are few examples, see `recorded`. Several threads may use
    one predictor.
    """

    run: RunDirectory
    task: Task
    features: Mapping[str, Feature]
    module: nn.Module
    network: nn.Module
    precision: str = "float32"
    program: Program | None = None

    @torch.no_grad()
    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """What the delivered module gives for tensors that are encoded already; no gradients are kept."""
        return self.module(*inputs, **named)

    @property
    def by_role(self) -> Any:
        """Features as attributes (`by_role.label.names`), as tasks read them."""
        return namespace(self.features)

    @property
    def names(self) -> Sequence[str]:
        """The classes that answers are among; none where they are no classes."""
        return class_names(self.task, self.features)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return device_of(self.module)

    def predict(self, items: Any, **options: Any) -> Any:
        """Answer for one item (one `Answer`) or several (a list of them, in order).

        An item is what the task's input can be (for pictures: a path, bytes, a PIL picture, an array, a tensor), or a
        mapping from role to value where a task has several inputs. A row of a table is a mapping from column to value,
        and a data frame several of them. Several items are a list, a tuple, any other
        iterable, or an array or tensor with one axis more than an item has.
        options: those of the task, such as top=3; ConfigError for one it does not have.
        """
        if self._takes_rows and hasattr(items, "columns"):
            return list(self.stream(rows_of(source.read(items, target=()).columns).values, **options))
        if any(self.features[role].takes == "table" for role in self.task.inputs) and hasattr(items, "columns"):
            return list(self.stream(self.arranged(items), **options))
        if self._is_one(items):
            return next(self.stream([items], **options))
        return list(self.stream(items, **options))

    def recommend(self, **asked: Any) -> Any:
        """Rank items for users or histories; see `engram.predict.recommending.recommend`."""
        from engram.predict.recommending import recommend

        return recommend(self, **asked)

    def stream(self, items: Iterable[Any], *, batch_size: int = BATCH_SIZE, **options: Any) -> Iterator[Answer]:
        """Answer for any number of items, one after the other, with memory for one batch alone.

        Texts are looked at several batches at a time, and those of similar length answered together.
        """
        chosen, done = task_options(self.task, options), 0
        size = batch_size * (TOGETHER if any(self.features[role].is_text for role in self.task.inputs) else 1)
        for some in _batched(items, size):
            names = [name_of(item, number) for number, item in enumerate(some, done)]
            yield from self.answers(some, chosen, names=names, batch_size=batch_size)
            done += len(some)

    def arranged(self, item: Any) -> Iterable[Any]:
        """The values that the task makes of a table (histories, series); anything but a table as it is."""
        table = isinstance(item, str | os.PathLike | Mapping) or hasattr(item, "columns")
        if not table or any(self.features[role].holds(item) for role in self.task.inputs):
            return [item]
        read = source.read(item, target=())
        arranged = self.task.arranged(read, target=None, inputs=None, wishes={}, features=self.features)
        for sentence in arranged.notes:
            events.note(sentence)
        (column,) = arranged.columns.values()
        return column.values

    def encode(self, items: Iterable[Any]) -> Batch:
        """Return items as the network sees them; DataError for one that cannot be read."""
        return self._encoded([self.stored(item) for item in items])

    def encode_table(self, data: Any) -> Batch:
        """Return all rows of a table (columns, a data frame) as the network sees them, read column by column."""
        names = [str(name) for name in getattr(data, "columns", data)]  # all of them, whatever they are called
        column, (role,) = rows_of(source.read(data, target=(), inputs=names).columns), self.task.inputs
        feature, rows = self.features[role], np.arange(len(column))
        return Batch(rows=rows, **{role: feature.encode(in_memory(column, feature).gather(rows))})

    @staticmethod
    def gather(stored: Sequence[Mapping[str, Any]], roles: Iterable[str]) -> dict[str, Any]:
        """Put stored values of some roles together; each is a mapping from role to what `Feature.store` gave."""
        return {role: collate([values[role] for values in stored]) for role in roles}

    def output(self, batch: Batch, *, options: Any = None) -> tuple[Any, Tensor | None]:
        """Return (raw output, unfamiliarity (B,)) of encoded examples, on the CPU."""
        options = self.task.options() if options is None else options
        if self.program is not None and self.program.takes(batch, options):
            return self.program(batch)
        return answer(self.task, self.module, batch, options=options, precision=self.precision)

    def recorded(self, item: Any) -> Predictor:
        """Return one that answers alike and sooner, for whoever changes nothing of its module. item: an example."""
        program = recorded(self.task, self.module, self.encode([item]), precision=self.precision)
        return replace(self, program=program)

    def answers(
        self, items: Sequence[Any], options: Any, *, names: Sequence[str], batch_size: int = BATCH_SIZE
    ) -> list[Answer]:
        """Answer for some named items at once; what cannot be read gets its error.

        options: the task's, as `task_options` makes them.
        """
        answers: list[Answer] = [{"input": name} for name in names]
        readable: list[int] = []
        stored: list[dict[str, dict[str, Any]]] = []
        for number, item in enumerate(items):
            try:
                stored.append(self.stored(item))
                readable.append(number)
            except (DataError, OSError) as error:
                answers[number]["error"] = str(error)
        places: Iterable[int] = range(len(stored))
        if len(stored) > batch_size:
            places = np.argsort([_size(values) for values in stored], kind="stable").tolist()
        for some in _batched(places, batch_size):
            found = self._decoded(self._encoded([stored[place] for place in some]), options)
            for place, decoded in zip(some, found, strict=True):
                answers[readable[place]].update(self.task.completed(decoded, stored[place], self.by_role))
        return answers

    def stored(self, item: Any) -> dict[str, dict[str, Any]]:
        """Store an item's value of each input role, as the store does with a column's."""
        if not (roles := list(self.task.inputs)):
            raise ConfigError(
                f"expected a run of a task that reads items by itself; {self.run} was trained by a step of your own. "
                "Call its network: engram.load(RUN, model=...).network"
            )
        by_role = isinstance(item, Mapping) and (not self._takes_rows or set(item) == set(roles))
        by_role = by_role and not self.features[roles[0]].holds(item)
        values = item if by_role else {roles[0]: item}
        if missing := [role for role in roles if role not in values]:
            raise DataError(f"expected a value for {', '.join(missing)}; give a mapping with {', '.join(roles)}")
        return {role: self.features[role].store(values[role]) for role in roles}

    def _encoded(self, stored: list[dict[str, dict[str, Any]]]) -> Batch:
        gathered = self.gather(stored, self.task.inputs)
        encoded = {role: self.features[role].encode(values) for role, values in gathered.items()}
        return Batch(rows=np.arange(len(stored)), **encoded)

    def _decoded(self, batch: Batch, options: Any) -> list[Answer]:
        output, unfamiliarity_B = self.output(batch, options=options)
        answers = self.task.decode(output, self.by_role, options)
        if unfamiliarity_B is not None:
            for decoded, value in zip(answers, unfamiliarity_B.tolist(), strict=True):
                decoded |= {"unfamiliar": value > 1, "unfamiliarity": round(value, 4)}
        return answers

    @property
    def _takes_rows(self) -> bool:
        """Whether an item is a row of a table."""
        return any(self.features[role].takes == "rest" for role in self.task.inputs)

    def _is_one(self, items: Any) -> bool:
        if isinstance(items, str | os.PathLike | bytes | bytearray | memoryview | Mapping):
            return True
        if not hasattr(items, "shape"):
            return not isinstance(items, Iterable) or hasattr(items, "getexif")
        shape = getattr(self.features.get(next(iter(self.task.inputs), "")), "shape", ())
        return len(items.shape) < len(shape) or (len(items.shape) == len(shape) and not _is_stack(items, shape))


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(itertools.islice(rest, size)):
        yield some


def _size(stored: Mapping[str, Mapping[str, Any]]) -> int:
    """How many numbers are stored of an item, which grows as a text does."""
    return sum(int(np.size(array)) for values in stored.values() for array in values.values())


def _is_stack(items: Any, shape: tuple[int, ...]) -> bool:
    """Whether three axes are several grey pictures, not one with channels.

    They are where neither end is 1, 3 or 4, and where the network sees grey pictures of just this height and width.
    """
    if len(shape) != 3:
        return False
    grey = shape[0] == 1 and items.shape[0] != 1 and tuple(items.shape[1:]) == tuple(shape[1:])
    return grey or not {items.shape[0], items.shape[-1]} & {1, 3, 4}


def load(
    run: str | os.PathLike[str] | RunDirectory,
    *,
    device: str | torch.device | None = None,
    model: nn.Module | Callable[..., nn.Module] | str | None = None,
    trust_source: bool = False,
) -> Predictor:
    """Open a run to answer with it.

    device: "cpu", "cuda" or "mps"; None takes the CPU, which for single answers is as fast. model: the user's own
    network, handed over again (or FILE:FACTORY); trust_source: run the copy of it in the run instead.
    RunError where the run is missing, damaged or of another network. Nothing in a run is executed unless
    `trust_source` says so.
    """
    directory = checked(run)
    opened = open_run(directory, model=model, trust_source=trust_source)
    try:
        module = opened.module.to(device or "cpu")
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"expected a device that is here, such as cpu; got {device!r} ({error})") from None
    precision = (opened.facts.get("plan") or {}).get("precision", "float32")
    return Predictor(directory, opened.task, opened.features, module, opened.network, precision)


def task_options(task: Task, options: Mapping[str, Any]) -> Any:
    """Build a task's options; ConfigError for a name it does not have, with the nearest it has."""
    fields = getattr(task.options, "__dataclass_fields__", {})
    for name in options:
        if name not in fields:
            raise (
                unknown(f"option of {task.name}", name, fields)
                if fields
                else ConfigError(f"{task.name} has no options; got {name!r}. Leave it out.")
            )
    return task.options(**options)


def name_of(item: Any, number: int) -> str:
    """Name an item so that the user finds it: its path, or its kind and place."""
    if isinstance(item, str | os.PathLike):
        return os.fspath(item) if isinstance(os.fspath(item), str) else os.fsdecode(os.fspath(item))
    filename = getattr(item, "filename", "") or getattr(item, "name", "")
    kind = "row" if isinstance(item, Mapping) else type(item).__name__
    return str(filename) if filename else f"{kind}[{number}]"
