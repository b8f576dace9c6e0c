"""Serving under load, beside what could be reached at most.

    python benchmarks/serving.py RUN [--seconds 10] [--clients 16]

RUN is a run on pictures; small made ones are sent, as PNG files in multipart forms. Server and clients are processes of
their own, on the same machine, whose cores they share. Printed are

- offline: pictures a second when the predictor is given all of them at once;
- empty: requests a second of a FastAPI handler that reads the same body and answers with the same bytes;
- served: requests a second with so many clients, each asking again once it has its answer, and what share that is of
  1 / (1 / offline + 1 / empty), with the latencies' p50 and p99;
- one client: the latency of a request by itself, and how much of it is not the predictor's;
- flood: three times as much as was served, asked at fixed times: how many got which status (0: no answer).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from clients import closed, opened

BOUNDARY = "picture"
SERVER = """
import sys, engram
engram.serve({"model": sys.argv[1]}, port=0, registry=sys.argv[2], started=lambda url: print(url, flush=True))
"""
EMPTY = """
import asyncio, sys, uvicorn
from fastapi import FastAPI, Request, Response
from engram.serve.listening import bound
app, answer, address = FastAPI(), sys.argv[1].encode(), bound("127.0.0.1", 0)
@app.post("/v1/models/model/predict")
async def empty(request: Request) -> Response:
    await request.body()
    return Response(answer, media_type="application/json")
print(f"http://127.0.0.1:{address.getsockname()[1]}", flush=True)
asyncio.run(uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error")).serve(sockets=[address]))
"""


def question(url: str, picture: bytes) -> bytes:
    """One request, as it goes over the wire."""
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode()
    body += picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /v1/models/model/predict HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measured(url: str, pictures: list[bytes], **how: Any) -> dict[str, Any]:
    """Measure in a process of its own, so that clients and server share no interpreter."""
    payload = json.dumps({"url": url, "how": how, "pictures": [picture.hex() for picture in pictures]})
    command = [sys.executable, __file__, "--ask"]
    done = subprocess.run(command, input=payload, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def batches(url: str) -> list[float]:
    """(number of batches so far, their seconds, their items)."""
    with urlopen(f"{url}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    kinds = ("seconds_count", "seconds_sum", "items_sum")
    return [float(lines[f'engram_batch_{kind}{{model="model"}}']) for kind in kinds]


def ask() -> None:
    """Be the clients' process."""
    payload = json.load(sys.stdin)
    url, how = payload["url"], payload["how"]
    requests = [question(url, bytes.fromhex(picture)) for picture in payload["pictures"]]
    closed(url, requests[:8], clients=4, seconds=0.5)
    if "rate" in how:
        ends = time.perf_counter() + how.pop("seconds")
        print(json.dumps(opened(url, requests, until=lambda: time.perf_counter() > ends, **how)))
    else:
        print(json.dumps(closed(url, requests, **how)))


def started(script: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def made_pictures(number: int, shape: tuple[int, ...]) -> list[bytes]:
    from PIL import Image

    random, found = np.random.default_rng(0), []
    channels, height, width = shape
    for _ in range(number):
        pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(content, "PNG")
        found.append(content.getvalue())
    return found


def alone(run: str) -> tuple[list[bytes], float, float, bytes]:
    """(pictures, pictures a second of the predictor, seconds for a single one (p50), an answer)."""
    import engram

    predictor = engram.load(run)
    pictures = made_pictures(1024, predictor.features["image"].shape)
    predictor.predict(pictures)
    rates, single = [], []
    for _ in range(3):
        began = time.perf_counter()
        predictor.predict(pictures)
        rates.append(len(pictures) / (time.perf_counter() - began))
    for picture in pictures[:200]:
        began = time.perf_counter()
        answer = predictor.predict(picture)
        single.append(time.perf_counter() - began)
    return pictures, max(rates), float(np.median(single)), json.dumps(answer).encode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", nargs="?")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        return ask()
    pictures, offline, single, answer = alone(options.run)
    how = {"clients": options.clients, "seconds": options.seconds}
    process, url = started(EMPTY, answer.decode())
    empty = measured(url, pictures, **how)
    one_empty = measured(url, pictures, clients=1, seconds=2)
    process.kill()
    process, url = started(SERVER, options.run, str(Path(options.run) / "no-registry"))
    one = measured(url, pictures, clients=1, seconds=3)
    before = batches(url)
    served = measured(url, pictures, **how)
    number, seconds, items = (after - then for after, then in zip(batches(url), before, strict=True))
    flood = measured(url, pictures, rate=3 * served["rate"], seconds=options.seconds)
    process.terminate()
    process.wait(60)
    bound = 1 / (1 / offline + 1 / empty["rate"])
    print(f"offline     {offline:8.0f} pictures/s; one alone {single * 1e3:.2f} ms")
    print(f"empty       {empty['rate']:8.0f} requests/s; one client p50 {one_empty['p50_ms']:.2f} ms")
    print(
        f"served      {served['rate']:8.0f} requests/s, {served['rate'] / bound:.0%} of {bound:.0f}; "
        f"p50 {served['p50_ms']:.1f} ms, p99 {served['p99_ms']:.1f} ms; {served['statuses']}; "
        f"batches of {items / number:.1f} in {seconds / number * 1e3:.1f} ms"
    )
    print(
        f"one client  p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms; "
        f"{one['p50_ms'] - single * 1e3:.2f} ms above the predictor"
    )
    print(
        f"flood       {flood['asked']:8.0f} requests/s asked: {flood['statuses']}, not sent {flood['not_sent']}; "
        f"answered {flood['rate']:.0f}/s, p50 {flood['p50_ms']:.0f} ms, p99 {flood['p99_ms']:.0f} ms"
    )


if __name__ == "__main__":
    main()
