"""`serve`: open the runs, take an address, and answer until told to end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from engram.core import events, machine
from engram.core.errors import ConfigError
from engram.core.rundir import RunDirectory
from engram.predict.predictor import load
from engram.serve.access import access
from engram.serve.app import Server
from engram.serve.counts import Counts
from engram.serve.limits import limits as made_limits
from engram.serve.listening import Listener, allow_files, bound
from engram.serve.log import RequestLog
from engram.serve.models import Models
from engram.serve.promotion import FOLDER, Registry


def serve(
    runs: Mapping[str, RunDirectory],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    registry: str | os.PathLike[str] = FOLDER,
    token: str = "",
    hostnames: Sequence[str] = (),
    limits: Mapping[str, Any] | None = None,
    log: str | os.PathLike[str] | None = None,
    log_bodies: bool = False,
    device: str | None = None,
    model: Any = None,
    trust_source: bool = False,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve runs by name until SIGTERM or Ctrl-C.

    runs: name -> run; what has been promoted under a name is served in its place, and promoted names are served
    beside them. host: anything but loopback needs a token (at least 16 characters). hostnames: further names that
    clients call the server by. limits: name -> value, see `engram.serve.limits.Limits`. log: a file to
    which each request adds a line; log_bodies: with what was asked and answered. started: called with the address
    once the server listens.
    """
    allowed = access(host, hostnames=hostnames, token=token)
    bounds = made_limits(limits or {})
    if log_bodies and log is None:
        raise ConfigError("expected a file for what is asked and answered. Name one with --log FILE")
    kept = RequestLog(log, bodies=log_bodies) if log is not None else None
    address = bound(host, port)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, machine.cores() - 1))  # one core is for reading requests and writing answers
    with address, machine.keeping_memory(), taking_turns():
        counts = Counts()
        opening = partial(load, device=device, model=model, trust_source=trust_source)
        models = Models(runs, Registry(registry), opening=opening, limits=bounds, counts=counts)
        allow_files(bounds.connections)
        listener = Listener(Server(models, access=allowed, limits=bounds, counts=counts, log=kept))
        served = [(model.name, model.version.name, model.version.promoted) for model in models]
        with asyncio.Runner(loop_factory=listener.config.get_loop_factory()) as runner:  # the fastest that is here
            runner.run(_listen(listener, address, started, served))


@contextmanager
def taking_turns() -> Iterator[None]:
    """Within the block a thread that computes in Python lets others go on ten times as soon: they answer somebody."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _listen(listener: Listener, address: Any, started: Callable[[str], None], served: list[Any]) -> None:
    host, port = address.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def tell() -> None:
        while not listener.started:
            await asyncio.sleep(0.01)
        models = [
            {"name": name, "version": version, "promoted": promoted or None} for name, version, promoted in served
        ]
        events.emit("serving", url=url, models=models)
        started(url)

    telling = asyncio.create_task(tell())
    await listener.serve(sockets=[address])
    telling.cancel()
