"""Numbers for Prometheus: counters, gauges and histograms, and the text form in which it reads them.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

COUNTERS = {
    "engram_requests_total": "Requests that were answered, by path and HTTP status.",
    "engram_tokens_read_total": "Tokens of prompts.",
    "engram_tokens_written_total": "Tokens that were written.",
}
HISTOGRAMS = {
    "engram_request_seconds": ("From a request's headers to its answer.", SECONDS),
    "engram_batch_seconds": ("Time that one batch took.", SECONDS),
    "engram_batch_items": ("Items that were answered in one batch.", ITEMS),
}

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Mapping[str, str], float]


class Counts:
    """What has happened since the start. Any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], tuple[list[int], list[float]]] = {}

    def count(self, name: str, number: int = 1, /, **labels: str) -> None:
        """Add to a counter."""
        key = name, tuple(sorted(labels.items()))
        with self._lock:
            self._counters[key] = self._counters.get(key, 0) + number

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one value to a histogram."""
        bounds = HISTOGRAMS[name][1]
        key = name, tuple(sorted(labels.items()))
        with self._lock:
            buckets, total = self._histograms.setdefault(key, ([0] * (len(bounds) + 1), [0.0]))
            buckets[bisect_left(bounds, value)] += 1
            total[0] += value

    def text(self, gauges: Mapping[str, tuple[str, Iterable[tuple[Mapping[str, str], float]]]]) -> str:
        """Return everything, and gauges (name -> (help, [(labels, value)])) beside it, as Prometheus reads it."""
        with self._lock:
            counters = dict(self._counters)
            histograms = {key: (list(buckets), total[0]) for key, (buckets, total) in self._histograms.items()}
        lines: list[str] = []
        for name, help in COUNTERS.items():
            lines += _family(
                name, "counter", help, ((name, dict(k[1]), v) for k, v in counters.items() if k[0] == name)
            )
        for name, (help, bounds) in HISTOGRAMS.items():
            found = [(dict(key[1]), *kept) for key, kept in histograms.items() if key[0] == name]
            samples = (
                sample for labels, buckets, total in found for sample in _samples(name, bounds, labels, buckets, total)
            )
            lines += _family(name, "histogram", help, samples)
        for name, (help, values) in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += _family(name, kind, help, ((name, labels, value) for labels, value in values))
        return "\n".join(lines) + "\n"


def _samples(
    name: str, bounds: tuple[float, ...], labels: Mapping[str, str], buckets: list[int], total: float
) -> Iterator[Sample]:
    """A histogram's lines: how many were at most each bound, their sum and their number."""
    so_far = 0
    for bound, number in zip((*map(_number, bounds), "+Inf"), buckets, strict=True):
        so_far += number
        yield f"{name}_bucket", {**labels, "le": bound}, so_far
    yield f"{name}_sum", labels, total
    yield f"{name}_count", labels, so_far


def _family(name: str, kind: str, help: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"{sample}{_braced(labels)} {_number(value)}" for sample, labels, value in samples]
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}", *lines] if lines else []


def _braced(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    """A label's value; what is no text (a lone surrogate) becomes a question mark."""
    plain = value.encode("utf-8", "replace").decode()
    return plain.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: Any) -> str:
    return repr(round(float(value), 9)).removesuffix(".0")
