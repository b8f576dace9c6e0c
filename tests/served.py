"""Tiny runs as a service, within the process or as one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import tiny_run
from PIL import Image as Pictures

from engram.evaluate import predictions
from engram.evaluate.evaluation import collect
from engram.predict.predictor import load
from engram.serve.access import access
from engram.serve.app import Server
from engram.serve.counts import Counts
from engram.serve.limits import limits as made_limits
from engram.serve.models import Models
from engram.serve.promotion import Registry
from engram.tasks.image_classification import ImageClassification

TESTS = Path(__file__).parent
SCRIPT = """
import sys, tiny_run, engram
runs, registry, limits = sys.argv[1].split(","), sys.argv[2], dict(pair.split("=") for pair in sys.argv[3:])
own = limits.pop("own_network") == "True"
engram.serve(runs, port=0, registry=registry, limits=limits, model=tiny_run.Net if own else None,
    started=lambda url: print("URL", url, flush=True))
"""


def make_run(path, *, accuracy=0.9, seed=0):
    """A trained run with kept answers to its validation rows, and a score of its own."""
    data = tiny_run.examples(seed=seed)
    module = tiny_run.delivered(tiny_run.trained(data))
    tiny_run.fit(module, data)
    run = tiny_run.save(path, data, module)
    kept = collect(ImageClassification(), module, data, data.splits["val"])
    predictions.write(run, {"val": kept}, tiny_run.NAMES, where=str)
    run.seal(results={"test": {"metrics": {"accuracy": {"value": accuracy}, "cross_entropy": {"value": 0.3}}}})
    return run


def png(picture):
    content = io.BytesIO()
    Pictures.fromarray(picture).save(content, "PNG")
    return content.getvalue()


OWN = partial(load, model=tiny_run.Net)


def server(runs, registry, *, host="127.0.0.1", token="", hostnames=(), opening=OWN, log=None, **limits):
    counts, bounds = Counts(), made_limits(limits)
    models = Models(runs, Registry(registry), opening=opening, limits=bounds, counts=counts)
    allowed = access(host, hostnames=hostnames, token=token)
    return Server(models, access=allowed, limits=bounds, counts=counts, log=log)


def asking(app, *questions):
    """Send questions (method, path, keyword arguments of httpx) one after the other; the answers."""

    async def run():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return [await client.request(method, path, **more) for method, path, more in questions]

    return asyncio.run(run())


@contextlib.contextmanager
def process(runs, registry, *, own_network=True, **limits):
    """A server of its own, for runs with the network of `tiny_run` or not. Yields (process, address)."""
    limits["own_network"] = own_network
    arguments = [",".join(map(str, runs)), str(registry), *(f"{name}={value}" for name, value in limits.items())]
    source = Path(sys.modules["engram"].__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{source}"}
    started = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    try:
        found = re.fullmatch(r"URL (\S+)\n", started.stdout.readline())
        assert found, started.stderr.read()
        yield started, found[1]
    finally:
        started.kill()
        started.communicate()
