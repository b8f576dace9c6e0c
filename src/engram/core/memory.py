"""Running out of memory, and going on in smaller pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engram.core.errors import EngramError

SAID = (
    "out of memory",  # torch.OutOfMemoryError, of any accelerator
    "can't allocate memory",  # the allocator of CPU tensors, on Linux
    "not enough memory",  # and on Windows
    "cannot allocate memory",
    "bad_alloc",
    "alloc_failed",  # cuBLAS and cuDNN
)


class OutOfMemoryError(EngramError):
    """Not even one example fits into memory."""

    exit_code = 1


@dataclass
class Shortage:
    """Whether memory ran out."""

    failed: bool = False


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out. Only accelerators' have a type of their own."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SAID)


@contextmanager
def shortage() -> Iterator[Shortage]:
    """Leave the block where memory runs out, and remember it. All that the block held is free again afterwards."""
    found = Shortage()
    try:
        yield found
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        found.failed = True


def in_pieces(call: Callable[[Any], Any], rows: Any, *, size: int) -> list[Any]:
    """Return `call` of one piece of `rows` after the other; each time memory runs out, pieces are half as large."""
    results, start = [], 0
    while start < len(rows):
        with shortage() as short:
            results.append(call(rows[start : start + size]))
            start += size
        if short.failed:
            size = halved(size)
    return results


def halved(size: int) -> int:
    """Half as many examples at once; OutOfMemoryError where it was one already."""
    if size == 1:
        raise OutOfMemoryError(
            "expected memory for one example at a time; there is too little even for that. Use a smaller network "
            "(--size small) or smaller inputs, end what else uses memory, or go on with a larger machine."
        )
    return size // 2
