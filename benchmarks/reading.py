"""How fast text is read and prepared, and with how much memory: one line of JSON per size.

    python benchmarks/reading.py FOLDER [--megabytes 10 100 1000] [--tokenizer bytes] [--text FILE]

Writes a file of so many megabytes into FOLDER (sentences of made words, or FILE over and over), then does what
`engram inspect` does with it before it plans: find its encoding and its pieces, store them, look for copies, fit
and apply the tokenizer, examine all of it. Memory is what the process holds itself; pages of files that are mapped
count apart, because the system takes them back when it needs them. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engram.data import doctor, source, split, store
from engram.data.doctor import copies
from engram.data.examples import Examples
from engram.features.text import Text

LEAST_SPEED = 10.0
"""Megabytes a second that preparing with bytes must reach."""


def make(path: Path, megabytes: int, text: Path | None) -> None:
    """Write a text of some size, never twice the same paragraph unless a text to repeat is given."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("aaeeiioubcdfghlmnprstvw"), random.integers(2, 9))) for _ in range(50_000)]
    given = text.read_bytes() if text is not None else b""
    with open(path, "wb") as file:
        while file.tell() < megabytes * 10**6:
            file.write(given or paragraphs(words, random))
        file.truncate(megabytes * 10**6)


def paragraphs(words: list[str], random: np.random.Generator) -> bytes:
    """About a megabyte of sentences."""
    frequent = 1 / (np.arange(len(words)) + 2.7)  # as words of a language are (Zipf and Mandelbrot)
    chosen = random.choice(words, 170_000, p=frequent / frequent.sum()).tolist()
    sentences = [" ".join(chosen[at : at + 17]).capitalize() + "." for at in range(0, len(chosen), 17)]
    return ("\n".join(" ".join(sentences[at : at + 8]) for at in range(0, len(sentences), 8)) + "\n").encode()


class Memory:
    """The most memory that the process has held, in MB, looked at fifty times a second."""

    def __init__(self) -> None:
        self.own = self.whole = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    @staticmethod
    def now() -> float:
        """What the process holds itself, in MB."""
        return _held()["RssAnon"]

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            held = _held()
            self.own, self.whole = max(self.own, held["RssAnon"]), max(self.whole, held["VmRSS"])


def _held() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith(("Rss", "VmRSS"))}


def measure(path: Path, tokenizer: str) -> dict[str, object]:
    """Read, prepare and examine a text; return seconds of each stage, speed and memory."""
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - began, 2)

    with tempfile.TemporaryDirectory(dir=path.parent) as cache, Memory() as memory:
        feature = Text(tokenizer=tokenizer)
        with stage("reading"):
            table = source.read(path)
        column = table.columns["text"]
        with stage("storing"):
            stored = store.prepare(column, feature, cache=cache)
        with stage("copies"):
            alike = copies.find(feature, stored, near=table.position is None)
        with stage("tokenizing"):
            digests = stored.digest[alike.leader]
            splits = split.assign(labels=None, digests=digests, position=table.position, where=column.where)
            feature.fit(stored, splits.rows["train"])
            stored = stored.refined(feature)
        with stage("examining"):
            examples = Examples({"text": feature}, {"text": stored}, splits.rows)
            doctor.inspect(examples=examples, table=table, roles={"text": column}, copies={"text": alike})
    size, total = path.stat().st_size / 1e6, sum(seconds.values())
    return {
        "megabytes": size, "tokenizer": tokenizer, "seconds": seconds, "megabytes_per_second": round(size / total, 1),
        "own_memory": round(memory.own), "with_mapped_files": round(memory.whole),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--tokenizer", default="bytes")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(measure(given.child, given.tokenizer)))
        return
    folder = given.folder / "engram-reading"
    folder.mkdir(parents=True)
    try:
        for megabytes in given.megabytes:
            path = folder / "text.txt"
            make(path, megabytes, given.text)
            command = [sys.executable, __file__, str(folder), "--child", str(path), "--tokenizer", given.tokenizer]
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)
    finally:
        shutil.rmtree(folder)
    print(f"with bytes, {LEAST_SPEED:g} MB a second are asked for")


if __name__ == "__main__":
    main()
