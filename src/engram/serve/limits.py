"""What the server takes, and for how long: every limit by its name, each settable (`--set body_bytes=1000000`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from engram.core.errors import ConfigError, unknown


def _limit(default: float, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Limits:
    """Of requests, connections and waiting. Sizes are checked before anything is parsed or decoded."""

    body_bytes: int = _limit(16 << 20, "of one request's body")
    all_bodies_bytes: int = _limit(24 << 20, "of all bodies that are held at once")
    items: int = _limit(256, "in one request")
    json_values: int = _limit(300_000, "in one request's JSON")
    pixels: int = _limit(25_000_000, "of one picture")
    characters: int = _limit(100_000, "of one text")
    steps: int = _limit(100_000, "of one series")
    queue_items: int = _limit(512, "that wait for one model; more are answered 429")
    queue_seconds: float = _limit(1.0, "that an item would wait; where it would be longer, it is answered 429")
    batch_seconds: float = _limit(0.1, "that one batch may take, which bounds its size")
    request_seconds: float = _limit(30.0, "until a request is answered, from when its body is there")
    writers: int = _limit(8, "of texts that one model writes at once; more wait, then are answered 429")
    writing_seconds: float = _limit(120.0, "after which a text that is being written ends where it is")
    header_seconds: float = _limit(10.0, "for a request's headers to arrive")
    body_seconds: float = _limit(20.0, "for its body to arrive")
    idle_seconds: float = _limit(5.0, "that a connection may stay open without a request")
    write_seconds: float = _limit(20.0, "that a client may leave an answer unread")
    connections: int = _limit(800, "open at once; beyond, the one that has waited longest is closed")
    drain_seconds: float = _limit(30.0, "to answer what is there when the server is told to end")
    goodbye_seconds: float = _limit(0.0, "to go on as before, not ready any more, before it stops listening")

    def of(self, unit: str) -> int:
        """How many units (pixels, characters, steps) one value may have."""
        return int(getattr(self, unit))


def limits(settings: Mapping[str, Any]) -> Limits:
    """Make limits of what was set by name; ConfigError for an unknown name, or a value that is no number above 0."""
    known = {limit.name: limit for limit in fields(Limits)}
    chosen: dict[str, Any] = {}
    for name, given in settings.items():
        if name not in known:
            raise unknown("limit", name, known)
        kind: Any = type(known[name].default)
        try:
            chosen[name] = kind(given)
        except (TypeError, ValueError):
            raise ConfigError(f"expected a number for the limit {name}; got {given!r}") from None
        if not (chosen[name] > 0 or (name == "goodbye_seconds" and chosen[name] == 0)):
            raise ConfigError(f"expected a limit above 0 for {name}; got {given!r}")
    return Limits(**chosen)
