"""The log of requests, for whoever wants one: a line of JSON for each, without bodies unless they are wanted too.

    {"time": "2026-11-25T22:30:00.123Z", "client": "127.0.0.1", "method": "POST", "path": "/v1/models/photos/predict",
     "status": 200, "seconds": 0.0042, "received": 812, "sent": 240}

The file may be moved away at any time, as programs that rotate logs do: the next line begins a new one.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engram.core import events
from engram.core.errors import ConfigError
from engram.serve.gate import Exchange

MOST_BODY = 64 << 10
"""Bytes of a body that are kept where bodies are."""


class RequestLog:
    """Appends to a file. bodies: whether what was asked and answered is kept as well, both as text."""

    def __init__(self, path: str | os.PathLike[str], *, bodies: bool = False) -> None:
        self.path, self.most_bytes = Path(path), MOST_BODY if bodies else 0
        self._failing = False
        try:
            self._file = self._opened()
        except OSError as error:
            raise ConfigError(f"expected a file for the log; {path} cannot be written ({error.strerror})") from None

    def add(self, exchange: Exchange) -> None:
        """Write a line. A disk that is full stops no answer: it is told once, and tried again with the next line."""
        line = json.dumps(self._line(exchange), separators=(",", ":")).encode() + b"\n"
        try:
            if not self._in_place():
                before, self._file = self._file, self._opened()
                os.close(before)
            os.write(self._file, line)
        except OSError as error:
            if not self._failing:
                events.warn(f"the log {self.path} cannot be written ({error.strerror}); requests go on without it")
            self._failing = True
            return
        self._failing = False

    def _opened(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _in_place(self) -> bool:
        """Whether the file that is open is the one of that name."""
        try:
            there, ours = self.path.stat(), os.fstat(self._file)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _line(self, exchange: Exchange) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {
            "time": now,
            "client": (exchange.scope.get("client") or ("",))[0],
            "method": exchange.scope["method"],
            "path": exchange.scope["path"],
            "status": exchange.status,
            "seconds": round(exchange.seconds, 6),
            "received": sum(map(len, exchange.received)),
            "sent": exchange.size,
        }
        if self.most_bytes:
            line |= {"body": self._text(exchange.received), "answer": self._text(exchange.sent)}
        return line

    def _text(self, pieces: list[bytes]) -> str:
        return b"".join(pieces)[: self.most_bytes].decode("utf-8", "replace")
