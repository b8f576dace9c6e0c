"""How fast a table is read and prepared, and with how much memory: one line of JSON per size.

    python benchmarks/reading_tables.py FOLDER [--rows 100000 1000000]

Writes a CSV file of 50 columns into FOLDER (25 fractions, 9 whole numbers, 10 categories, 5 texts and a target), then
does what `engram inspect` does with it before it plans: read it, find out what each column is, prepare and encode all
rows, examine them. Memory is what the process holds itself beyond what it held before; pages of files that are mapped
count apart. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars
from reading import Memory

MOST_SECONDS, MOST_MEMORY = 20.0, 3.0
"""What a million rows may take: seconds on two cores, and memory as a multiple of the file."""


def make(path: Path, rows: int) -> None:
    """Write a table of some rows, a hundred thousand at a time."""
    random = np.random.default_rng(0)
    words = np.array(["".join(random.choice(list("aeioubdfglmnprst"), random.integers(3, 9))) for _ in range(20_000)])
    with open(path, "wb") as file:
        for start in range(0, rows, 100_000):
            frame = part(min(100_000, rows - start), words, random)
            frame.write_csv(file, include_header=start == 0)


def part(rows: int, words: np.ndarray, random: np.random.Generator) -> polars.DataFrame:
    columns: dict[str, object] = {f"float_{n}": random.normal(n, 10**n % 97 + 1, rows).round(4) for n in range(25)}
    columns |= {f"whole_{n}": random.integers(0, 10 ** (n + 1), rows) for n in range(9)}
    columns |= {f"category_{n}": words[random.integers(0, 4 * (n + 1) ** 3, rows)] for n in range(10)}
    for n in range(5):
        chosen = words[(random.pareto(1.0, (rows, 6)) * 10).astype(np.int64) % len(words)]
        columns[f"text_{n}"] = [" ".join(row) for row in chosen.tolist()]
    gap = random.random(rows) < 0.05
    frame = polars.DataFrame(columns | {"target": random.integers(0, 2, rows)})
    return frame.with_columns(
        polars.when(polars.Series(gap)).then(None).otherwise(polars.col("float_3")).alias("float_3")
    )


def measure(path: Path) -> dict[str, object]:
    """Read and prepare a table; return seconds and memory."""
    from engram.api import reading
    from engram.api.requests import DataRequest
    from engram.core import events

    before, began = Memory.now(), time.perf_counter()
    with Memory() as memory, events.listening():
        read = reading.read(path, DataRequest(target="target"))
        batch = read.examples.batch(read.examples.splits["train"][:256])
    size = path.stat().st_size
    return {
        "rows": len(read.table), "megabytes": round(size / 1e6), "seconds": round(time.perf_counter() - began, 2),
        "places": batch.record.shape[1], "own_memory": round(memory.own - before),
        "times_the_file": round((memory.own - before) * 1e6 / size, 2), "with_mapped_files": round(memory.whole),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(measure(given.child)))
        return
    folder = given.folder / "engram-tables"
    folder.mkdir(parents=True)
    try:
        for rows in given.rows:
            path = folder / "table.csv"
            make(path, rows)
            command = [sys.executable, __file__, str(folder), "--child", str(path)]
            environment = {**os.environ, "ENGRAM_CACHE": str(folder / "cache")}
            print(
                subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout, end=""
            )
    finally:
        shutil.rmtree(folder)
    print(f"a million rows may take {MOST_SECONDS:g} s, and {MOST_MEMORY:g} times the file in memory")


if __name__ == "__main__":
    main()
