"""Dynamic batching: requests wait in a queue, and one thread per model computes what waits, as much as time allows.

A batch begins once no request is arriving any more: whoever is heard in the same turn of the loop comes along, which
takes microseconds and costs nobody anything; no request is ever held back to wait for company. While a batch is
computed others gather, and make the next one, which begins before answers are handed out: reading and writing go on
beside the computing. A batch holds at most what the latency bound allows by the time that items took so far, and
requests of many items are taken piece by piece, so that small ones between them need not wait.

All but the computing happens in the server's loop, so that nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Answer = dict[str, Any]
Answering = Callable[[Sequence[Any], Any, Sequence[str]], list[Answer]]
"""(items, options, names) -> answers, for one batch."""

PIECE = 32
"""Of a request, at most so many items are taken before the next request's turn."""

LARGEST = 256
"""Items of one batch: more at once take no less time each."""

SETTLING = 0.2
"""How much of the estimated time per item a new batch decides."""

QUIET_TURNS = 2
"""Turns of the loop without a new request after which none is arriving: one to hear it, one to read it."""


class Full(Exception):  # noqa: N818  (an answer, not a failure)
    """The queue is full; `seconds` is when to come again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the queue is full")
        self.seconds = seconds


@dataclass
class Waiting:
    """A request in the queue. taken: items that are in a batch already. left: whoever asked waits no longer."""

    items: Sequence[Any]
    names: Sequence[str]
    options: Any
    done: asyncio.Future[list[Answer]]
    answers: list[Answer] = field(default_factory=list)
    taken: int = 0
    left: bool = False


Batch = list[tuple[Waiting, slice]]
Computing = asyncio.Future[tuple[list[Answer], float]]
"""Answers to come, and the seconds that they took."""


class Batcher:
    """One model's queue. Used within one loop.

    answering: computes a batch, in `thread`, which has one worker. observed: is told (number of items, seconds) of
    every batch.
    """

    def __init__(
        self,
        answering: Answering,
        thread: ThreadPoolExecutor,
        *,
        queue_items: int,
        queue_seconds: float,
        batch_seconds: float,
        observed: Callable[[int, float], None] = lambda number, seconds: None,
    ) -> None:
        self._answering, self._thread, self._observed = answering, thread, observed
        self._queue_items, self._queue_seconds, self._batch_seconds = queue_items, queue_seconds, batch_seconds
        self._queue: deque[Waiting] = deque()
        self._working: asyncio.Task[None] | None = None
        self.waiting = 0
        self.seconds_per_item = 0.0

    async def answer(self, items: Sequence[Any], options: Any, names: Sequence[str]) -> list[Answer]:
        """Answer for items with the next batches; Full where too many wait already."""
        self.check_room(len(items))
        request = Waiting(items, names, options, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self.waiting += len(items)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            return await request.done
        finally:
            request.left = True

    def check_room(self, number: int) -> None:
        """Full where waiting would be too long. Whoever finds nobody waiting may come with whatever a request holds."""
        seconds = self.waiting * self.seconds_per_item
        full = self.waiting + number > self._queue_items or seconds > self._queue_seconds
        if self.waiting and full:
            raise Full(seconds)

    async def _work(self) -> None:
        """Compute batches until nobody waits. Each begins before the answers of the one before it are handed out."""
        try:
            while self._queue:
                await self._all_heard()
                begun = self._begun()
                while begun:
                    batch, computing = begun
                    await asyncio.wait([computing])
                    begun = self._begun()
                    await self._end(batch, computing)
        finally:
            self._working = None

    async def _all_heard(self) -> None:
        """Let in whose requests are arriving; no longer than a full batch takes to come together."""
        heard, quiet = self.waiting, 0
        while quiet < QUIET_TURNS and self.waiting < LARGEST:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.waiting == heard else 0
            heard = self.waiting

    def _next(self) -> Batch:
        """Take pieces of the requests that have waited longest, all with the same options."""
        room = LARGEST
        if self.seconds_per_item:
            room = max(1, min(LARGEST, int(self._batch_seconds / self.seconds_per_item)))
        batch: Batch = []
        while self._queue and room and (not batch or self._queue[0].options == batch[0][0].options):
            request = self._queue.popleft()
            left = len(request.items) - request.taken
            if request.left:
                self.waiting -= left
                continue
            number = min(left, room, PIECE)
            batch.append((request, slice(request.taken, request.taken + number)))
            request.taken += number
            room -= number
            self.waiting -= number
            if number < left:
                self._queue.append(request)
        return batch

    def _begun(self) -> tuple[Batch, Computing] | None:
        """Let the thread compute the next batch; None where nobody waits."""
        batch = self._next()
        return (batch, self._computing(batch)) if batch else None

    def _computing(self, batch: Batch) -> Computing:
        computing = asyncio.get_running_loop().run_in_executor(self._thread, self._computed, batch)
        computing.add_done_callback(self._measure)  # the next batch is as large as this one allows
        return computing

    async def _end(self, batch: Batch, computing: Computing) -> None:
        """Answer for a batch. Where it fails, each request is tried by itself: one must not spoil another's answer."""
        try:
            answers, _ = await computing
        except Exception as error:
            if len({id(request) for request, _ in batch}) > 1:
                for alone in batch:
                    await self._end([alone], self._computing([alone]))
            else:
                _refuse(batch[0][0], error)
            return
        _hand_out(batch, answers)

    def _computed(self, batch: Batch) -> tuple[list[Answer], float]:
        """Answers and the seconds that they took; in the thread."""
        began = time.monotonic()
        items = [item for request, piece in batch for item in request.items[piece]]
        names = [name for request, piece in batch for name in request.names[piece]]
        answers = self._answering(items, batch[0][0].options, names)
        assert len(answers) == len(items), "one answer per item"
        return answers, time.monotonic() - began

    def _measure(self, computing: Computing) -> None:
        if computing.cancelled() or computing.exception():
            return
        answers, seconds = computing.result()
        share = SETTLING if self.seconds_per_item else 1.0
        self.seconds_per_item += share * (seconds / len(answers) - self.seconds_per_item)
        self._observed(len(answers), seconds)


def _hand_out(batch: Batch, answers: list[Answer]) -> None:
    """Give each request its answers; one that has all of them is done."""
    at = 0
    for request, piece in batch:
        number = piece.stop - piece.start
        request.answers += answers[at : at + number]
        at += number
        if len(request.answers) == len(request.items) and not request.done.done():
            request.done.set_result(request.answers)


def _refuse(request: Waiting, error: Exception) -> None:
    request.left = True
    if not request.done.done():
        request.done.set_exception(error)
