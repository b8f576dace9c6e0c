"""Dynamic batching: requests wait in a queue, and one thread per model takes what waits, as much as time allows.

A request that finds the model idle is answered at once, by itself; while a batch is computed others gather, and make
the next one. No request is ever held back to wait for company. A batch holds at most what the latency bound allows
by the time that items took so far, and requests of many items are taken piece by piece, so that small ones between
them need not wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
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
    loop: asyncio.AbstractEventLoop
    answers: list[Answer] = field(default_factory=list)
    taken: int = 0
    left: bool = False


class Batcher:
    """One model's queue and its thread.

    answering: computes a batch, in the thread. observed: is told (number of items, seconds) of every batch.
    """

    def __init__(
        self,
        answering: Answering,
        *,
        queue_items: int,
        queue_seconds: float,
        batch_seconds: float,
        observed: Callable[[int, float], None] = lambda number, seconds: None,
    ) -> None:
        self._answering, self._observed = answering, observed
        self._queue_items, self._queue_seconds, self._batch_seconds = queue_items, queue_seconds, batch_seconds
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.waiting = 0
        self.seconds_per_item = 0.0
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    async def answer(self, items: Sequence[Any], options: Any, names: Sequence[str]) -> list[Answer]:
        """Answer for items with the next batches; Full where too many wait already."""
        loop = asyncio.get_running_loop()
        request = Waiting(items, names, options, loop.create_future(), loop)
        with self._changed:
            self.check_room(len(items))
            self._queue.append(request)
            self.waiting += len(items)
            self._changed.notify()
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

    def close(self) -> None:
        """End the thread once the queue is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                batch = self._next()
            if batch:
                self._run(batch)

    def _next(self) -> list[tuple[Waiting, slice]]:
        """Take pieces of the requests that have waited longest, all with the same options; the lock is held."""
        room = LARGEST
        if self.seconds_per_item:
            room = max(1, min(LARGEST, int(self._batch_seconds / self.seconds_per_item)))
        batch: list[tuple[Waiting, slice]] = []
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

    def _run(self, batch: list[tuple[Waiting, slice]]) -> None:
        """Answer for a batch. Where it fails, each request is tried by itself: one must not spoil another's answer."""
        number = sum(piece.stop - piece.start for _, piece in batch)
        began = time.monotonic()
        try:
            items = [item for request, piece in batch for item in request.items[piece]]
            names = [name for request, piece in batch for name in request.names[piece]]
            answers = self._answering(items, batch[0][0].options, names)
            assert len(answers) == number, "one answer per item"
        except Exception as error:
            if len({id(request) for request, _ in batch}) > 1:
                for alone in batch:
                    self._run([alone])
            else:
                _tell(batch[0][0].loop, [(batch[0][0], error)])
            return
        self._measure(number, time.monotonic() - began)
        self._hand_out(batch, answers)

    def _measure(self, number: int, seconds: float) -> None:
        each = seconds / number
        share = SETTLING if self.seconds_per_item else 1.0
        self.seconds_per_item += share * (each - self.seconds_per_item)
        self._observed(number, seconds)

    def _hand_out(self, batch: list[tuple[Waiting, slice]], answers: list[Answer]) -> None:
        """Give each request its answers; those that have all of them are done."""
        at, done = 0, []
        for request, piece in batch:
            number = piece.stop - piece.start
            request.answers += answers[at : at + number]
            at += number
            if len(request.answers) == len(request.items):
                done.append((request, None))
        if done:
            _tell(done[0][0].loop, done)


def _tell(loop: asyncio.AbstractEventLoop, done: Sequence[tuple[Waiting, Exception | None]]) -> None:
    """Wake those who asked, in their loop; one that has ended asks no more."""

    def wake() -> None:
        for request, error in done:
            if request.done.done():
                continue
            if error is not None:
                request.left = True
                request.done.set_exception(error)
            else:
                request.done.set_result(request.answers)

    if not loop.is_closed():
        loop.call_soon_threadsafe(wake)
