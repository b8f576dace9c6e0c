"""What happens is told as events; whoever wants to show or keep them listens.

The engine emits; the terminal, `--json`, `metrics.jsonl` and the studio listen. Events are plain
dictionaries that JSON can hold, so that a program reads the same that a person sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Event = dict[str, Any]
Listener = Callable[[Event], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


def emit(event: str, **fields: Any) -> None:
    """Tell every listener. `event` is the kind, for example "plan", "step", "evaluated", "done"."""
    for listener in _listeners.get():
        listener({"event": event, **fields})


def note(message: str) -> None:
    """Tell something a person would want to know, one sentence."""
    emit("note", message=message)


def warn(message: str) -> None:
    """Tell something a person should act on."""
    emit("warning", message=message)


def heard() -> bool:
    """Whether anybody listens."""
    return bool(_listeners.get())


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Within the block, these listeners hear every event too."""
    token = _listeners.set((*_listeners.get(), *listeners))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Tell when a stage of the command begins and how long it took."""
    import time

    emit("stage", name=name)
    began = time.monotonic()
    yield
    emit("stage_done", name=name, seconds=round(time.monotonic() - began, 3))
