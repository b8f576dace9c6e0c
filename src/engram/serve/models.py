"""The models that are served: each a name, the version it serves now, and the thread that computes its answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from engram.core import events
from engram.core.errors import ConfigError, RunError
from engram.core.rundir import RunDirectory
from engram.explain.question import ask
from engram.predict.checking import checked
from engram.predict.predictor import Predictor, load
from engram.serve import drift
from engram.serve.batching import Answer, Batcher
from engram.serve.counts import Counts
from engram.serve.limits import Limits
from engram.serve.promotion import Registry

LOOKING_SECONDS = 1.0
"""Between two looks at the registry."""

Opening = Callable[[RunDirectory], Predictor]


@dataclass
class Served:
    """A run, opened, with what is counted of its answers.

    name: of the run's folder, without where it lies. promoted: when, or "" for the run given at the start. entries: how
    each input is given, by role. explains: whether it can be said what its answers hang on.
    """

    name: str
    predictor: Predictor
    drift: drift.Drift
    promoted: str
    entries: dict[str, Any]
    explains: bool


class Model:
    """One name. What it serves may change between two batches, never within one. thread: all its computing."""

    def __init__(self, name: str, version: Served, *, limits: Limits, counts: Counts) -> None:
        self.name, self.version, self._counts = name, version, counts
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.writers = asyncio.Semaphore(limits.writers)
        self.batcher = Batcher(
            self._answers,
            self.thread,
            queue_items=limits.queue_items,
            queue_seconds=limits.queue_seconds,
            batch_seconds=limits.batch_seconds,
            observed=self._observed,
        )

    def _answers(self, items: Sequence[Any], options: Any, names: Sequence[str]) -> list[Answer]:
        version = self.version
        answers = version.predictor.answers(items, options, names=names)
        version.drift.add(answers)
        return answers

    def count_tokens(self, read: int, written: int) -> None:
        """Count what was written for one who asked."""
        self._counts.count("engram_tokens_read_total", read, model=self.name)
        self._counts.count("engram_tokens_written_total", written, model=self.name)

    def _observed(self, number: int, seconds: float) -> None:
        self._counts.observe("engram_batch_items", number, model=self.name)
        self._counts.observe("engram_batch_seconds", seconds, model=self.name)


class Models:
    """All names. base: the run that each was started with, if it was; the registry's word counts more.

    opening: run -> its predictor, with the caller's choice of device and network.
    """

    def __init__(
        self,
        base: Mapping[str, RunDirectory],
        registry: Registry,
        *,
        opening: Opening = load,
        limits: Limits,
        counts: Counts,
    ) -> None:
        self._base, self._registry, self._opening = base, registry, opening
        self._stamps = {name: registry.stamp(name) for name in (*base, *registry.names())}
        if not self._stamps:
            raise ConfigError(
                f"expected runs to serve, or promoted ones in {registry.folder}; there are none. "
                "Name one: engram serve RUN"
            )
        self._models = {
            name: Model(name, self._version(name), limits=limits, counts=counts) for name in sorted(self._stamps)
        }

    def __iter__(self) -> Any:
        return iter(self._models.values())

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def _version(self, name: str) -> Served:
        """Open what a name is to serve now."""
        current = self._registry.read(name).current
        if current is None and name not in self._base:
            raise RunError(f"nothing is promoted any more as {name}, and the server was started with no run for it")
        run = checked(current.run) if current else self._base[name]
        predictor = self._opening(run)
        given = entries(predictor)
        example = _example(predictor, given)
        predictor = predictor.recorded(example)
        predictor.answers([example], predictor.task.options(), names=["warm-up"])  # the first who asks need not wait
        explains = ask(predictor, example) is not None
        promoted = current.promoted if current else ""
        return Served(run.path.resolve().name, predictor, drift.of_run(run), promoted, given, explains)

    async def watch(self) -> None:
        """Take up promotions as they come, until cancelled; what cannot be opened changes nothing and is told."""
        while True:
            await asyncio.sleep(LOOKING_SECONDS)
            for model in self:
                if (stamp := self._registry.stamp(model.name)) != self._stamps[model.name]:
                    self._stamps[model.name] = stamp
                    await self._take_up(model)

    async def _take_up(self, model: Model) -> None:
        try:
            version = await asyncio.to_thread(self._version, model.name)
            if version.predictor.task.name != model.version.predictor.task.name:
                raise RunError(f"{version.name} is of another task than {model.version.name}")
        except Exception as error:  # whatever it is, the version that is served goes on
            events.warn(f"{model.name} goes on with {model.version.name}: {error}")
            return
        model.version = version
        events.note(f"{model.name} now serves {version.name}")

    def close(self) -> None:
        """End the threads. What was asked has been answered by then; what takes too long is left."""
        for model in self:
            model.thread.shutdown(wait=False, cancel_futures=True)


def entries(predictor: Predictor) -> dict[str, Any]:
    """How each input is given, by role; ConfigError where one can come from files alone, or where there is none."""
    made = {role: predictor.features[role].entry() for role in predictor.task.inputs}
    found = {role: entry for role, entry in made.items() if entry is not None}
    if closed := made.keys() - found.keys():
        raise ConfigError(f"{predictor.run} cannot be served: {min(closed)} cannot be given over the network")
    if not found:
        raise ConfigError(
            f"expected a run of a task that reads items; {predictor.run} was trained by a step of your own"
        )
    return found


def _example(predictor: Predictor, given: Mapping[str, Any]) -> Any:
    """An item such as its features describe it."""
    found = {role: predictor.features[role].received(entry.example, most=sys.maxsize) for role, entry in given.items()}
    return found if len(found) > 1 else next(iter(found.values()))
