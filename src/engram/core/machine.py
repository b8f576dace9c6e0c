"""The machine: its cores and memory, and how to be quick and well-mannered on it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_rank() -> int:
    """This process's number among those that train together: 0 unless a launcher such as torchrun says another."""
    return int(os.environ.get("RANK", 0))


def local_rank() -> int:
    """The same among those on this machine."""
    return int(os.environ.get("LOCAL_RANK", process_rank()))


def num_processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def wait_passively() -> None:
    """Let idle OpenMP threads sleep soon instead of spin, unless the user set otherwise. Call before torch is imported.

    Spinning threads slow a training step by 5 to 20 times when anything else runs on the machine. Those that sleep at
    once have to be woken for every small operation, of which transformers have hundreds a step: twice the time
    (LOG.md, 2026-11-25). So they spin for about a tenth of a millisecond, from one operation to the next.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")


def free_memory() -> int:
    """Bytes of memory that a new program could use now: what the system has, or what a cgroup still allows."""
    available = 4 << 30
    if (meminfo := Path("/proc/meminfo")).exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min(available, _allowed_by_cgroups())


def _allowed_by_cgroups() -> int:
    """Bytes that the control groups of this process still allow; what they only cache can be had again."""
    allowed = sys.maxsize
    groups = Path("/proc/self/cgroup")
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, kinds, path = line.split(":", 2)
        limit, used, cached = ("memory.max", "memory.current", "file")
        root = Path("/sys/fs/cgroup")
        if kinds == "memory":  # version 1
            limit, used, cached = ("memory.limit_in_bytes", "memory.usage_in_bytes", "cache")
            root /= "memory"
        elif kinds:
            continue
        group = root / path.lstrip("/") if (root / path.lstrip("/") / limit).exists() else root  # in a container: root
        if (group / limit).exists() and (text := (group / limit).read_text().strip()).isdigit():
            statistics = dict(row.split() for row in (group / "memory.stat").read_text().splitlines())
            taken = int((group / used).read_text()) - int(statistics.get(cached, 0))
            allowed = min(allowed, max(0, int(text) - taken))
    return allowed


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Within the block, memory that tensors free is kept for the next ones instead of going back to the system.

    glibc maps every large block anew, and the kernel then clears it page by page: half the time of
    elementwise operations on CPU tensors of some megabytes (LOG.md, 2026-11-22). Elsewhere than on glibc
    this does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 256 << 20)
    libc.mallopt(arena_max, 1)  # backward runs in a thread of its own, which must share the memory
    try:
        yield
    finally:
        libc.mallopt(mmap_max, 65536)
        libc.mallopt(trim_threshold, 128 << 10)
        libc.mallopt(top_pad, 0)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version") else None


def each(function: Callable[[Given], Made], items: Sequence[Given]) -> list[Made]:
    """Apply a function to each item, on as many threads as there are cores; for work outside Python's lock."""
    if min(len(items), cores()) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(len(items), cores())) as pool:
        return list(pool.map(function, items))
