"""Examples of the user's own torch Dataset: handed to the network unchanged, asked for anew in every epoch.

In place of features over stored values stands the data set itself. Its order is the engine's; its randomness is
seeded for each example from (seed, epoch, row), so that an example is the same whenever and wherever it is made.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, default_collate

from engram.core import events, machine
from engram.core.errors import ConfigError, DataError
from engram.core.task import tensors_in
from engram.core.units import format_bytes
from engram.data.examples import Examples
from engram.data.order import uniform

STREAM = 11
"""Of the random numbers that seed examples; augmentations have others."""

ASKED_TWICE = 8
"""Examples by which data is recognised, and made twice to see whether they are the same."""


@dataclass
class DatasetExamples(Examples):
    """Examples of map-style data sets, one after the other; a batch holds them, put together, as `examples`.

    sets: the data sets, whose rows are numbered on. collate: puts a list of examples together. kept: every example,
    where they are declared to be deterministic.
    """

    sets: Sequence[Any] = ()
    collate: Callable[[list[Any]], Any] = default_collate
    kept: list[Any] | None = None

    def made(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray) -> dict[str, Any]:
        """Make some examples of an epoch and put them together. DataError where the data set or collating fails."""
        found = self.asked(rows, seed=seed, epoch=epoch) if self.kept is None else [self.kept[row] for row in rows]
        try:
            examples = self.collate(found)
        except Exception as error:  # whatever the user's own code raises
            raise DataError(
                f"expected examples that can be put together to a batch; {type(error).__name__}: {error} (one of them "
                f"is {described(found[0])}). Give them one shape, or collate=FUNCTION, which takes a list of examples."
            ) from error
        return {"examples": examples}

    def num_values(self) -> int:
        """How many numbers there are in one example, its target among them."""
        return sum(tensor.numel() for tensor in tensors_in(self.batch(self.splits["train"][:1]).examples)) or 1

    def asked(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray | int) -> list[Any]:
        """Ask the data sets for some examples, each with its own random numbers; global ones stay as they were."""
        seeds = (uniform(np.asarray(rows), epoch, seed=seed, stream=STREAM) * 2**32).astype(np.uint64)
        with _random_states_kept():
            return [self._one(int(row), int(number)) for row, number in zip(rows, seeds, strict=True)]

    def _one(self, row: int, number: int) -> Any:
        torch.default_generator.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        place = row
        for one in self.sets:
            if place < len(one):
                break
            place -= len(one)
        try:
            return one[place]
        except Exception as error:  # whatever the user's own code raises
            raise DataError(
                f"expected an example; {type(one).__name__}[{place}] failed ({type(error).__name__}: {error})."
            ) from error

    def keep(self, *, seed: int) -> None:
        """Make every example once and keep it in memory. DataError where that is too small."""
        rows = np.arange(sum(map(len, self.sets)))
        size = sum(tensor.nbytes for tensor in tensors_in(self.asked(rows[:1], seed=seed, epoch=0))) * len(rows)
        if size > 0.8 * machine.free_memory():
            raise DataError(
                f"expected examples that fit the memory when kept (deterministic=True); these need about "
                f"{format_bytes(size)} of {format_bytes(machine.free_memory())}. Leave it out: they are then made anew "
                "in every epoch."
            )
        kept: list[Any] = []
        for start in range(0, len(rows), 1000):
            kept += self.asked(rows[start : start + 1000], seed=seed, epoch=0)
            events.emit("progress", name="preparing examples", done=len(kept), total=len(rows))
        self.kept = kept

    def fingerprint(self, *, seed: int) -> tuple[str, bool]:
        """What the data is recognised by when a training goes on, and whether examples are the same when made twice.

        They are not where their randomness is not that of torch, numpy.random or random; content then says nothing.
        """
        rows = np.unique(np.linspace(0, sum(map(len, self.sets)) - 1, ASKED_TWICE).astype(np.int64))
        first, second = (_digest(self.asked(rows, seed=seed, epoch=0)) for _ in range(2))
        known = [*map(len, self.sets), *(len(chosen) for chosen in self.splits.values())]
        return f"{'-'.join(map(str, known))}-{first if first == second else 'unknown'}", first == second


def map_style(dataset: Any) -> Any:
    """Return a data set that has a length and examples by number; ConfigError says what another kind is to become."""
    if hasattr(dataset, "batch_sampler") and hasattr(dataset, "dataset"):
        raise ConfigError(
            "expected a data set; got a DataLoader. Hand over its .dataset (and its collate_fn as collate=): batches "
            "and their order are made here."
        )
    listed = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if isinstance(dataset, IterableDataset) or not listed:
        raise ConfigError(
            f"expected a map-style Dataset, with a length and examples by number; got {type(dataset).__name__}. An "
            "iterable one cannot be shuffled, nor gone on from exactly. Where it fits the memory: list(dataset)."
        )
    if not len(dataset):
        raise DataError(f"expected examples; this {type(dataset).__name__} is empty.")
    return dataset


def described(value: Any) -> str:
    """Say what an example or a batch is made of: kinds, shapes and types."""
    if isinstance(value, torch.Tensor):
        return f"tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {described(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple) and len(value) <= ASKED_TWICE:
        return f"({', '.join(map(described, value))})"
    return type(value).__name__


@contextmanager
def _random_states_kept() -> Iterator[None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def _digest(value: Any) -> str:
    """32 hexadecimal digits that differ where the content does, as far as it is made of numbers, texts and arrays."""
    content = hashlib.blake2b(digest_size=16)
    for piece in _pieces(value):
        content.update(piece)
    return content.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    yield described(value).encode()
    if isinstance(value, torch.Tensor):
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, dict):
        yield from (piece for inner in value.values() for piece in _pieces(inner))
    elif isinstance(value, list | tuple):
        yield from (piece for inner in value for piece in _pieces(inner))
    elif isinstance(value, int | float | str | bytes):
        yield repr(value).encode()
    elif hasattr(value, "__array__"):
        yield np.asarray(value).tobytes()
