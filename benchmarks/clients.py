"""Clients of a server in one process, cheap enough not to be what is measured: raw sockets and prepared bytes.

`closed` is so many clients who each ask again once they have their answer; `opened` asks at fixed times, however the
server fares, and counts waiting from when a request was due.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import numpy as np

PATIENCE = 35
"""Seconds after which an answer counts as never given."""


class Connection:
    """One connection that stays open, with one request at a time. status: of the last answer, 0 where it broke."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = parts.hostname, parts.port
        self.socket: socket.socket | None = None
        self.held, self.due, self.status, self.waits = b"", 0.0, 0, False

    def ask(self, request: bytes, *, due: float) -> None:
        """Send a request."""
        assert self.socket is not None
        self.held, self.due, self.waits = b"", due, True
        self.socket.sendall(request)

    def hear(self) -> bool:
        """Read what came; whether that was the end of an answer, or of the connection."""
        assert self.socket is not None
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.status = 0
            return True
        self.held = self.held + data if self.held else data
        end = self.held.find(b"\r\n\r\n")
        if end < 0:
            return False
        at = self.held.lower().index(b"content-length: ", 0, end) + len(b"content-length: ")
        if len(self.held) - end - 4 < int(self.held[at : self.held.index(b"\r\n", at)]):
            return False
        self.status = int(self.held[9:12])
        return True


class Crowd:
    """Connections, each made when it is first needed, and again where it broke."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def ask(self, connection: Connection, request: bytes, *, due: float) -> None:
        """Send a request over one of them; it is heard of again, whatever becomes of it."""
        if connection.socket is None:
            connection.socket = socket.create_connection(connection.address)
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        with suppress(OSError):  # told by what comes, or by nothing that comes
            connection.ask(request, due=due)

    def answered(self, seconds: float) -> Iterator[Connection]:
        """Those whose answers ended, or broke, within some seconds at most."""
        for key, _ in self._selector.select(seconds):
            connection = key.data
            if not connection.hear():
                continue
            if not connection.status:
                self._selector.unregister(connection.socket)
                connection.socket.close()
                connection.socket = None
            if connection.waits:
                connection.waits = False
                yield connection


def closed(url: str, requests: list[bytes], *, clients: int, seconds: float) -> dict[str, Any]:
    """So many clients, each asking again once it has its answer."""
    crowd, turn, latencies, statuses = Crowd(), cycle(requests), [], Counter[int]()
    began = now = time.perf_counter()
    for _ in range(clients):
        crowd.ask(Connection(url), next(turn), due=now)
    while now < began + seconds:
        for connection in crowd.answered(1.0):
            now = time.perf_counter()
            latencies.append(now - connection.due)
            statuses[connection.status] += 1
            crowd.ask(connection, next(turn), due=now)
        now = max(now, time.perf_counter())
    return summary(latencies, statuses, now - began)


def opened(
    url: str, requests: list[bytes], *, rate: float, until: Callable[[], bool], connections: int = 780
) -> dict[str, Any]:
    """Requests at fixed times until told, then what is left to be answered. not_sent: found no free connection."""
    crowd, turn, latencies, statuses = Crowd(), cycle(requests), [], Counter[int]()
    free, number, not_sent, open_ones = deque(Connection(url) for _ in range(connections)), 0, 0, 0
    began, ended = time.perf_counter(), 0.0
    while not ended or (open_ones and time.perf_counter() < ended + PATIENCE):
        if not ended and until():
            ended = time.perf_counter()
        while not ended and (due := began + number / rate) < time.perf_counter():
            number += 1
            if free:
                open_ones += 1
                crowd.ask(free.popleft(), next(turn), due=due)
            else:
                not_sent += 1
        left = began + number / rate - time.perf_counter()
        for connection in crowd.answered(min(max(left, 0), 0.05)):
            statuses[connection.status] += 1
            if connection.status == 200:
                latencies.append(time.perf_counter() - connection.due)
            open_ones -= 1
            free.append(connection)
    if open_ones:
        statuses[0] += open_ones
    return {**summary(latencies, statuses, ended - began), "asked": number / (ended - began), "not_sent": not_sent}


def summary(latencies: list[float], statuses: Counter[int], seconds: float) -> dict[str, Any]:
    """Rate, p50 and p99 of the answers, and how many of each status (0: none)."""
    p50, p99 = (np.percentile(latencies, [50, 99]) * 1e3).tolist() if latencies else (0, 0)
    return {"rate": len(latencies) / seconds, "p50_ms": p50, "p99_ms": p99, "statuses": dict(statuses)}
