"""Several processes that train one network together, as `torchrun` starts them.

Each takes some of the micro-batches of every step; their gradients are added up, and all move alike. What depends
on time or chance is decided by the first process, which alone writes the run. A trial or a measurement within one
process is a `Team` of its own.
"""

from __future__ import annotations

import atexit
import datetime
import functools
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # imported once there is a group, its default arguments would keep it alive
from torch import Tensor

from engram.core import machine
from engram.core.errors import LostProcessError

Some = TypeVar("Some", bound=Tensor)

BUCKET = 32 << 20
"""Bytes that travel at once."""

PATIENCE = datetime.timedelta(days=7)
"""How long processes wait for one another: the first reads, measures and scores while the others rest. One that ends
closes its connections, which the others notice at once."""


@dataclass(frozen=True)
class Team:
    """The processes that train together: this one's number, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, writes and reports."""
        return self.rank == 0

    def share(self, pieces: Sequence[Any]) -> Sequence[Any]:
        """Return the pieces that are this process's own: every `size`-th."""
        return pieces[self.rank :: self.size]

    def total(self, *numbers: float) -> list[float]:
        """Return numbers, each added up over all processes."""
        if self.size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with _together():
            dist.all_reduce(tensor)
        return tensor.tolist()

    def largest(self, number: int) -> int:
        """Return the largest of all processes' numbers."""
        if self.size == 1:
            return number
        tensor = torch.tensor(number)
        with _together():
            dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return int(tensor)

    def adding(self, flat: Tensor) -> Callable[[], None]:
        """Begin to add up a tensor over all processes, in its place; return what waits until that is done."""
        with _together():
            work = dist.all_reduce(flat, async_op=True)

        def wait() -> None:
            with _together():
                work.wait()

        return wait

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""
        if self.size == 1:
            return
        with _together(), torch.no_grad():
            for bucket in buckets(list(tensors)):
                flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
                dist.broadcast(flat, src=0)
                for tensor, came in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                    tensor.copy_(came.view(tensor.shape))

    def divided(self, work: Callable[[Tensor], Tensor], items: Sequence[Tensor]) -> list[Tensor]:
        """Return `work` of every item, each done by one process for all; results have the item's shape, in bfloat16."""
        if self.size == 1 or not items:
            return [work(item) for item in items]
        shares = _fair_shares([item.numel() for item in items], self.size)
        flats = [items[0].new_empty(sum(items[i].numel() for i in share), dtype=torch.bfloat16) for share in shares]
        results = {
            index: piece.view(items[index].shape)
            for share, flat in zip(shares, flats, strict=True)
            for index, piece in zip(share, flat.split([items[i].numel() for i in share]), strict=True)
        }
        for index in shares[self.rank]:
            results[index].copy_(work(items[index]))
        with _together():
            sent = [dist.broadcast(flat.view(torch.uint8), rank, async_op=True) for rank, flat in enumerate(flats)]
            for broadcast in sent:
                broadcast.wait()
        return [results[index] for index in range(len(items))]

    def told(self, value: Any) -> Any:
        """Return the first process's value, which is plain data."""
        if self.size == 1:
            return value
        values = [value]
        with _together():
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.largest(0)

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all processes, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _together():
            dist.all_gather_object(values, value)
        return values


@functools.cache
def team() -> Team:
    """Join the processes that `torchrun`, or what sets RANK and WORLD_SIZE alike, started with this one."""
    if machine.num_processes() == 1:
        return Team()
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(machine.local_rank() % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=PATIENCE)
    atexit.register(dist.destroy_process_group)  # joins its threads: none may let go of a tensor when Python is gone
    return Team(dist.get_rank(), dist.get_world_size())


@contextmanager
def _together() -> Iterator[None]:
    """Within the block, what fails is the connection to another process."""
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold the group, which must be gone before Python is
        if not isinstance(error, RuntimeError):
            raise
        raise LostProcessError(
            "another process of this training has ended, and this one with it. The newest checkpoint is kept."
        ) from error


def buckets(tensors: Sequence[Some]) -> Iterator[list[Some]]:
    """Cut a sequence into runs of about `BUCKET` bytes, each of tensors of one type on one device."""
    kinds: dict[Any, list[Some]] = {}
    for tensor in tensors:
        kind = tensor.dtype, tensor.device
        kinds.setdefault(kind, []).append(tensor)
        if sum(t.nbytes for t in kinds[kind]) >= BUCKET:
            yield kinds.pop(kind)
    yield from kinds.values()


def _fair_shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Divide items of such sizes, by their numbers, into `count` shares of about the same size."""
    shares: list[list[int]] = [[] for _ in range(count)]
    for item in sorted(range(len(sizes)), key=lambda item: -sizes[item]):
        min(shares, key=lambda share: sum(sizes[i] for i in share)).append(item)
    return shares
