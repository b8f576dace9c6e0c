"""A server of its own: promoted and ended under load without a dropped request, and not held up by slow clients."""

import asyncio
import contextlib
import signal
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
import served
import tiny_run

import engram

PREDICT = "/v1/models/v0/predict"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [served.make_run(folder / f"v{n}", seed=n).path for n in range(2)]


def question():
    (picture,), _ = tiny_run.pictures(1, seed=3)
    return {"files": {"image": ("a.png", served.png(picture))}}


async def ask_on(client, until, answers):
    """Ask one question after the other, each on a connection that stays open, until told; keep (status, version)."""
    while not until.is_set():
        answer = await client.post(PREDICT, **question())
        answers.append((answer.status_code, answer.headers.get("x-engram-version")))


async def wait_for(condition, seconds=30):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it took too long"
        await asyncio.sleep(0.02)


def test_promoted_and_ended_under_load(runs, tmp_path):
    async def run(started, url):
        answers, until = [], asyncio.Event()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            asking = [asyncio.create_task(ask_on(client, until, answers)) for _ in range(8)]
            await wait_for(lambda: len(answers) > 50)
            engram.promote(runs[1], "v0", registry=tmp_path, model=tiny_run.Net)
            await wait_for(lambda: answers[-1][1] == "v1")
            engram.promote(None, "v0", undo=True, registry=tmp_path)
            await wait_for(lambda: answers[-1][1] == "v0")
            assert {status for status, _ in answers} == {200}
            before = len(answers)
            started.send_signal(signal.SIGTERM)
            ended = await asyncio.gather(*asking, return_exceptions=True)
        # Once it listens no more, new connections are refused; whatever was accepted has been answered.
        assert {type(error) for error in ended} == {httpx.ConnectError}
        assert len(answers) > before and {status for status, _ in answers} == {200}

    with served.process(runs[:1], tmp_path) as (started, url):
        asyncio.run(run(started, url))
        assert started.wait(20) == 0
        said = started.stderr.read()
        assert "v0 now serves v1" in said and "Traceback" not in said


def test_slow_and_endless_clients_are_sent_away_while_others_are_served(runs, tmp_path):
    """Connections that say nothing, headers and bodies that trickle, a body without end: 60 in all, 40 allowed."""
    bounds = {"connections": 40, "header_seconds": 2, "body_seconds": 2, "body_bytes": 100_000}
    with served.process(runs[:1], tmp_path, **bounds) as (started, url), contextlib.ExitStack() as stack:
        address = (urlsplit(url).hostname, urlsplit(url).port)
        host = f"Host: {address[0]}:{address[1]}\r\n"

        def connect(head):
            found = stack.enter_context(socket.create_connection(address, timeout=10))
            found.sendall(head.encode())
            return found

        post = f"POST {PREDICT} HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
        slow = [connect("") for _ in range(20)]
        slow += [connect("GET / HTTP/1.1\r\nHo") for _ in range(20)]
        slow += [connect(f"{post}Content-Length: 1000\r\n\r\n{{") for _ in range(20)]
        endless = connect(f"{post}Transfer-Encoding: chunked\r\n\r\n")
        declared = connect(f"{post}Content-Length: {10 << 30}\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                endless.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n")
        assert b" 413 " in declared.recv(1000)
        with httpx.Client(base_url=url, timeout=10) as client:
            for _ in range(20):
                assert client.post(PREDICT, **question()).status_code == 200
            ends = time.monotonic() + 20
            while any(is_open(one) for one in slow):
                assert time.monotonic() < ends
                time.sleep(0.05)
            assert client.post(PREDICT, **question()).status_code == 200
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0


def is_open(connection):
    """Whether the server has not closed a connection; what it said before is read and forgotten."""
    connection.settimeout(0.01)
    try:
        return bool(connection.recv(1000))
    except TimeoutError:
        return True
    except ConnectionError:
        return False
