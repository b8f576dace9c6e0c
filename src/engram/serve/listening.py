"""Listening: connections that are slow, idle or too many, and an end that drops nothing.

uvicorn reads HTTP, by httptools; what it leaves open is closed here. A connection waits while no whole request of it
has arrived: newly made, idle, or sending it drop by drop. One that waits too long is closed, and where there are too
many connections, the one that has waited longest. Nor may it send headers without end: httptools keeps them all.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engram.core.errors import ConfigError
from engram.serve.app import Server
from engram.serve.limits import Limits

PARTING_SECONDS = 0.3
"""When the server ends, a connection stays open so long without a request: one may be on its way."""

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""What is said where there are too many connections, and each has a request that is being answered."""

MOST_HEADERS = 64 << 10
"""Bytes of a request that are neither its body nor what stands between pieces of it."""


class Patient(HttpToolsProtocol):
    """One connection. waiting: all that wait, the longest first; shared by the server's connections.

    Its timers: `_headers` until a request's headers are there, `_unread` until the client reads its answer.
    `_unparsed`: bytes that have come since the last headers or piece of a body were whole.
    """

    def __init__(self, *arguments: Any, limits: Limits, waiting: dict[Patient, None], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits, self._waiting = limits, waiting
        self._headers: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._unparsed = 0
        self._turned_away = False

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room where there are too many, or say that there is none; and expect headers soon."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            if (longest := next(iter(self._waiting), None)) is None:
                return self._turn_away()
            del self._waiting[longest]  # it takes a while to go
            longest.transport.abort()
        self._expect_headers()

    def _turn_away(self) -> None:
        """Every other connection is being answered. Whoever came last is heard to the end, so as to read it."""
        self._turned_away = True
        self.transport.write(BUSY)
        self.transport.write_eof()
        self.loop.call_later(PARTING_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._waiting.pop(self, None)
        self._stop("_headers")
        self._stop("_unread")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the time for headers runs from their first byte, however many follow. The gate times the body."""
        if self._turned_away:
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MOST_HEADERS and not self.transport.is_closing():
            self.transport.abort()
        if not self._busy:
            if self._headers is None:
                self._expect_headers()
            return
        self._stop("_headers")
        if not self.cycle.more_body:
            self._waiting.pop(self, None)

    def on_headers_complete(self) -> None:
        """What has come makes sense."""
        self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """So does this."""
        self._unparsed = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request; it may be here already."""
        super().on_response_complete()
        if not self._busy and not self.transport.is_closing():
            self._waiting[self] = None

    def shutdown(self) -> None:
        """End after what is being answered, or what may be on its way."""
        if self._busy:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(PARTING_SECONDS, self._part)

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        self._stop("_unread")
        self._unread = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._stop("_unread")

    def _expect_headers(self) -> None:
        self._waiting[self] = None
        self._headers = self.loop.call_later(self._limits.header_seconds, self.transport.abort)

    def _stop(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _part(self) -> None:
        if not self._busy and not self.transport.is_closing():
            super().shutdown()


class Listener(uvicorn.Server):
    """uvicorn's server, ended by SIGTERM or Ctrl-C once everything is answered; a second one ends it at once."""

    def __init__(self, server: Server) -> None:
        limits = server.limits
        config = uvicorn.Config(
            server.app,
            http=partial(Patient, limits=limits, waiting={}),  # type: ignore[arg-type]  # anything that makes one will do
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=max(1, round(limits.idle_seconds)),
            timeout_graceful_shutdown=max(1, round(limits.drain_seconds)),
        )
        super().__init__(config)
        self._server = server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is no longer ready, go on for a while where wished, then end."""
        self._server.app.ending = True
        await asyncio.sleep(self._server.limits.goodbye_seconds)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within the block signals ask for the end; it is no failure, and ends the process with exit code 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End in order; the second time at once."""
        self.force_exit, self.should_exit = self.should_exit, True


def bound(host: str, port: int) -> socket.socket:
    """Take an address before anything is loaded; ConfigError where it cannot be had. Port 0: any that is free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"expected an address to listen on; {host}:{port} cannot be had ({reason})") from None
    return found


def allow_files(connections: int) -> None:
    """Ask the system for as many open files as connections need; where it refuses, fewer connections are open."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + 200
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))
