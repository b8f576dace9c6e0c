"""Batches: what waits is taken together, nothing is mixed up or lost, and a full queue says so."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engram.serve.batching import LARGEST, Batcher, Full

BOUNDS = {"queue_items": 1000, "queue_seconds": 60.0, "batch_seconds": 60.0}


class Doubling:
    """Doubles numbers; remembers its batches, and can be made to wait before the next one."""

    def __init__(self, *, seconds=0.0):
        self.batches, self.seconds, self.open = [], seconds, threading.Event()
        self.open.set()

    def __call__(self, items, options, names):
        assert self.open.wait(10)
        self.batches.append((list(items), options))
        time.sleep(self.seconds)
        if "poison" in items:
            raise RuntimeError("poisoned")
        return [{"input": name, "twice": 2 * item} for name, item in zip(names, items, strict=True)]


def batching(answering, **bounds):
    return Batcher(answering, ThreadPoolExecutor(1), **{**BOUNDS, **bounds})


async def ask(batcher, numbers, options="a"):
    answers = await batcher.answer(numbers, options, [str(n) for n in numbers])
    assert answers == [{"input": str(n), "twice": 2 * n} for n in numbers]
    return len(answers)


def held(doubling, batcher, *requests):
    """Let requests gather while the first batch is held back, then answer all of them."""

    async def run():
        doubling.open.clear()
        tasks = [asyncio.create_task(ask(batcher, [-1]))]
        await asyncio.sleep(0.05)  # the thread has taken it by now
        tasks += [asyncio.create_task(ask(batcher, *request)) for request in requests]
        await asyncio.sleep(0.05)
        doubling.open.set()
        return await asyncio.gather(*tasks)

    return asyncio.run(run())


def test_what_waits_is_answered_together_and_each_gets_its_own():
    doubling = Doubling()
    held(doubling, batching(doubling), *[([n],) for n in range(50)])
    assert [len(items) for items, _ in doubling.batches] == [1, 50]


def test_other_options_are_another_batch():
    doubling = Doubling()
    held(doubling, batching(doubling), ([1], "a"), ([2], "b"), ([3], "b"), ([4], "a"))
    assert [(items, options) for items, options in doubling.batches[1:]] == [([1], "a"), ([2, 3], "b"), ([4], "a")]


def test_large_requests_let_small_ones_pass_between_their_pieces():
    doubling = Doubling()
    held(doubling, batching(doubling), (list(range(600)),), ([1000],))
    sizes = [len(items) for items, _ in doubling.batches[1:]]
    assert sum(sizes) == 601 and max(sizes) <= LARGEST
    assert 1000 in doubling.batches[1][0]


def test_batches_stay_within_the_latency_bound():
    doubling = Doubling(seconds=0.02)
    batcher = batching(doubling, batch_seconds=0.2)
    held(doubling, batcher, *[([n],) for n in range(40)])
    assert len(doubling.batches[1][0]) <= 10  # the first one took 20 ms or more for a single item


def test_one_that_fails_does_not_take_the_others_with_it():
    doubling = Doubling()
    batcher = batching(doubling)

    async def run():
        doubling.open.clear()
        tasks = [asyncio.create_task(batcher.answer(x, "a", x)) for x in (["-"], ["poison"], ["x"], ["y"])]
        await asyncio.sleep(0.05)
        doubling.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, poisoned, x, y = asyncio.run(run())
    assert isinstance(poisoned, RuntimeError)
    assert [answers[0]["twice"] for answers in (first, x, y)] == ["--", "xx", "yy"]


def test_a_full_queue_refuses_and_forgets_who_has_left():
    doubling = Doubling()
    batcher = batching(doubling, queue_items=4)

    async def run():
        doubling.open.clear()
        first = asyncio.create_task(ask(batcher, [0]))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(ask(batcher, [n])) for n in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Full):
            await batcher.answer([5], "a", ["5"])
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        doubling.open.set()
        assert await asyncio.gather(first, *waiting, return_exceptions=True)
        return await ask(batcher, list(range(9)))  # nobody waits: more than the queue holds is welcome

    assert asyncio.run(run()) == 9
    assert [items for items, _ in doubling.batches[:2]] == [[0], [1, 2, 3]]
    assert batcher.waiting == 0


def test_those_who_come_together_are_one_batch_from_the_first():
    doubling = Doubling()
    batcher = batching(doubling)

    async def run():
        return await asyncio.gather(*(ask(batcher, [n]) for n in range(16)))

    assert asyncio.run(run()) == [1] * 16
    assert [len(items) for items, _ in doubling.batches] == [16]


def test_each_who_comes_later_is_answered_too():
    """The work ends when nobody waits, and begins again."""
    batcher = batching(Doubling())

    async def run():
        for number in range(20):
            await ask(batcher, [number])
            await asyncio.sleep(0.001 * (number % 3))

    asyncio.run(run())
    assert batcher.waiting == 0
