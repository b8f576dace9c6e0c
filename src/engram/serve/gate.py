"""The gate: what every request passes before anything of it is parsed. Who asks, how much comes, how slowly."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from engram.serve.access import Access
from engram.serve.limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SAFE = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""Headers of every answer: no other page may frame, embed or keep it."""


class Refused(Exception):  # noqa: N818  (an answer, not a failure)
    """A request that is answered with its HTTP status at once. retry: seconds after which it may be sent again."""

    def __init__(self, status: int, message: str, *, retry: float | None = None, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.retry, self.close = status, message, retry, close

    def content(self) -> dict[str, Any]:
        """What is said."""
        return {"error": self.message}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with it, as an ASGI application."""
        content = json.dumps(self.content()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        headers += [(b"retry-after", str(max(1, ceil(self.retry))).encode())] if self.retry is not None else []
        headers += [(b"connection", b"close")] if self.close else []
        headers += [(b"www-authenticate", b"Bearer")] if self.status == 401 else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


FAILED = Refused(500, "this should not happen; the server's log says where it did")


@dataclass
class Exchange:
    """A request and how it was answered. status: 0 where the connection ended before. seconds: until the answer's end.

    received, sent: the pieces of both bodies; of the answer its size alone, unless somebody wants to keep it.
    """

    scope: Scope
    status: int = 0
    seconds: float = 0.0
    received: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    size: int = 0


class Gate:
    """An ASGI application around another: refuses, or hands on with the whole body read.

    seen: called with every request once it was answered. keep: how many bytes of an answer it wants to see.
    ending: every answer is its connection's last.
    """

    def __init__(
        self, app: Any, *, access: Access, limits: Limits, seen: Callable[[Exchange], None], keep: int = 0
    ) -> None:
        self.app, self.access, self.limits, self.seen, self.keep = app, access, limits, seen, keep
        self.held = 0
        self.ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, exchange = time.monotonic(), Exchange(scope)
        sending = self._watched(send, exchange)
        try:
            if refusal := self.access.refusal(scope["path"], scope["headers"]):
                raise Refused(*refusal, close=True)
            await self._read(scope, receive, exchange.received)
            body = b"".join(exchange.received)
            exchange.received[:] = [body]  # and its pieces are no longer held
            await self.app(scope, _replaying(body, receive), sending)
        except Refused as refused:
            if not exchange.status:
                await refused(scope, receive, sending)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if not exchange.status:
                await FAILED(scope, receive, sending)
        finally:
            self.held -= sum(map(len, exchange.received))
            exchange.seconds = time.monotonic() - began
            self.seen(exchange)

    def _watched(self, send: Send, exchange: Exchange) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), *SAFE]
                message["headers"] += [(b"connection", b"close")] if self.ending else []
            elif body := message.get("body", b""):
                if exchange.size < self.keep:
                    exchange.sent.append(body)
                exchange.size += len(body)
            await send(message)

        return sending

    async def _read(self, scope: Scope, receive: Receive, chunks: list[bytes]) -> None:
        """Read a whole body within the limits; Refused where it is too large, too slow, or where too many are held."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or len(declared) > 18 or int(declared) > self.limits.body_bytes:
            raise self._too_large()
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the connection ended before the body did", close=True)
                    if chunk := message.get("body", b""):
                        size += len(chunk)
                        self._check_size(size, len(chunk))
                        chunks.append(chunk)
                        self.held += len(chunk)
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            raise Refused(408, f"the body took longer than {self.limits.body_seconds:g} seconds", close=True) from None

    def _check_size(self, size: int, more: int) -> None:
        if size > self.limits.body_bytes:
            raise self._too_large()
        if self.held + more > self.limits.all_bodies_bytes:
            raise Refused(503, "too much is being received", retry=1, close=True)

    def _too_large(self) -> Refused:
        return Refused(413, f"expected a body of at most {self.limits.body_bytes:,} bytes; it is larger", close=True)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """What was read, as one message; after it whatever comes."""
    waiting = True

    async def again() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
