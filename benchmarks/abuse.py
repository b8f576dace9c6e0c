"""A served run under abuse: does it stand, does its memory stay, and are others served meanwhile?

    python benchmarks/abuse.py RUN [--cases 10000] [--slow 500]

RUN is a run on pictures. While each abuse goes on, clients ask at fixed times what can easily be served, and the p99 of
their latencies is set beside what it was before. Printed for each abuse are the statuses of its answers, the clients'
p99, and how much memory the server's process has beyond what it had before all of them. At the end: whether the server
still answers, and ends in order. Short abuses are repeated for five seconds; whoever abuses has low priority (nice), as
on the server's machine it would else take the processor from it, which from elsewhere nobody can.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from clients import opened
from serving import SERVER, made_pictures, question, started

Statuses = Counter[int]
PREDICT = "/v1/models/model/predict"
HEALTHY = 50
"""Requests a second of the clients who mean well."""


def memory(process: subprocess.Popen[str]) -> float:
    """Megabytes that a process holds."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def healthy(url: str, requests: list[bytes], until: Callable[[], bool]) -> dict[str, Any]:
    """Ask at fixed times until told; what was answered how fast."""
    return opened(url, requests, rate=HEALTHY, until=until, connections=8)


def raw(url: str, content: bytes, *, more: bytes = b"", times: int = 0) -> int:
    """Send bytes as they are, then more of them so many times; the status of the answer, 0 for none."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(content)
            for _ in range(times):
                connection.sendall(more)
        try:
            return int(connection.recv(64)[9:12] or 0)
        except OSError:
            return 0


def head(url: str, rest: str) -> bytes:
    return (
        f"POST {PREDICT} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\n{rest}".encode()
    )


def declared(url: str, number: int) -> Statuses:
    return Counter(raw(url, head(url, f"Content-Length: {10 << 30}\r\n\r\n")) for _ in range(number))


def endless(url: str, number: int) -> Statuses:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    start = head(url, "Transfer-Encoding: chunked\r\n\r\n")
    return in_threads(lambda: raw(url, start, more=piece, times=10_000), number)


def endless_headers(url: str, number: int) -> Statuses:
    return in_threads(lambda: raw(url, head(url, "X: "), more=b"y" * 65536, times=10_000), number)


def trailers(url: str, number: int) -> Statuses:
    start = head(url, "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
    return in_threads(lambda: raw(url, start, more=b"X: y\r\n" * 10_000, times=1000), number)


def deep(url: str, number: int) -> Statuses:
    body = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    return Counter(raw(url, head(url, f"Content-Length: {len(body)}\r\n\r\n") + body) for _ in range(number))


def slow(url: str, number: int) -> Statuses:
    """So many connections, each sending a byte a second, until it is closed."""
    parts, open_ones, statuses = urlsplit(url), [], Counter[int]()
    for turn in range(number):
        start = head(url, "X: ") if turn % 2 else head(url, "Content-Length: 1000\r\n\r\n")
        connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
        connection.sendall(start)
        connection.setblocking(False)
        open_ones.append(connection)
    while open_ones:
        time.sleep(1)
        for connection in list(open_ones):
            try:
                connection.send(b" ")
                answer = connection.recv(64)
            except BlockingIOError:
                continue
            except OSError:
                answer = b""
            statuses[int(answer[9:12] or 0)] += 1
            open_ones.remove(connection)
            connection.close()
    return statuses


def in_threads(call: Callable[[], int], number: int) -> Statuses:
    statuses: Statuses = Counter()
    threads = [threading.Thread(target=lambda: statuses.update([call()])) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def fuzzed(url: str, cases: int) -> Statuses:
    """What schemathesis makes of the API's description, as many cases of each route."""
    import hypothesis
    import schemathesis

    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    statuses: Statuses = Counter()
    for operation in operations:
        how = hypothesis.settings(
            max_examples=max(1, cases // len(operations)), deadline=None, database=None,
            suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
        )  # fmt: skip

        @how
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            statuses[case.call(timeout=60).status_code] += 1

        ask()
    return statuses


def be(name: str, url: str, number: int) -> Statuses:
    """Be the one who abuses, for a while."""
    os.nice(15)
    ends, statuses = time.perf_counter() + LEAST_SECONDS, ABUSES[name][0](url, number)
    while name not in LONG and time.perf_counter() < ends:
        statuses.update(ABUSES[name][0](url, number))
    return statuses


def apart(name: str, url: str, number: int) -> subprocess.Popen[str]:
    """Start an abuse in a process of its own."""
    command = [sys.executable, __file__, "--be", name, url, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


ABUSES = {
    "10 GB declared": (declared, 100), "endless chunks": (endless, 8), "endless headers": (endless_headers, 8),
    "endless trailers": (trailers, 8), "JSON 100,000 deep": (deep, 100), "slow connections": (slow, 500),
    "schemathesis": (fuzzed, 10_000),
}  # fmt: skip
LONG = {"slow connections", "schemathesis"}
LEAST_SECONDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--only", nargs="*", choices=list(ABUSES), default=list(ABUSES))
    parser.add_argument("--be", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be:
        name, url, number = given.be
        print(json.dumps(be(name, url, int(number))))
        return
    import engram

    pictures = made_pictures(64, engram.load(given.run).features["image"].shape)
    process, url = started(SERVER, given.run, str(Path(given.run) / "no-registry"))
    requests = [question(url, picture) for picture in pictures]
    ends = time.perf_counter() + 10
    before = healthy(url, requests, lambda: time.perf_counter() > ends)
    base = memory(process)
    print(f"{'before':20} p99 {before['p99_ms']:7.1f} ms; {base:.0f} MB; {before['statuses']}", flush=True)
    for name in given.only:
        number = {"schemathesis": given.cases, "slow connections": given.slow}.get(name, ABUSES[name][1])
        abuse = apart(name, url, number)
        found = healthy(url, requests, lambda: abuse.poll() is not None)  # noqa: B023
        assert abuse.stdout is not None
        statuses = {int(status): count for status, count in json.loads(abuse.stdout.read() or "{}").items()}
        print(
            f"{name:20} p99 {found['p99_ms']:7.1f} ms, {found['p99_ms'] / before['p99_ms']:.1f} times; "
            f"{memory(process) - base:+.0f} MB; clients {found['statuses']}; abuse {statuses}",
            flush=True,
        )
    process.send_signal(signal.SIGTERM)
    print(f"ended with {process.wait(60)}")


if __name__ == "__main__":
    main()
