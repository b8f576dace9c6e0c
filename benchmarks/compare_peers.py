"""Quality against seconds, and throughput: engram and what one would use instead, measured in the same run.

    python benchmarks/compare_peers.py FOLDER --cache CACHE [--peers PEER ...] [--measure quality|throughput]

FOLDER holds the four files of Fashion-MNIST, or of MNIST, as published, and is called so. CACHE keeps a virtual
environment for each peer, and the data as one .npz file, which engram and all peers read. Nothing else may run on the
machine. Every point becomes a line of benchmarks/results/peers.csv. Table and picture beside it are made from the
newest measurements there, so that a single peer can be measured again; with `--measure none` only they are made.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from make_demo_data import read_idx
from quality import Case, machine_speed
from quality import run as run_engram

PEERS = Path(__file__).parent / "peers"
RESULTS = Path(__file__).parent / "results"

TARGETS = {"fashion_mnist": 0.93, "mnist": 0.995}
"""Data set -> the test accuracy to which seconds are counted."""

SIGNS = ("mnist",)
"""Data sets whose pictures may not be mirrored."""

ENVIRONMENTS = {
    "tensorflow": "keras==3.15.1 tensorflow==2.21.0",
    "jax": "keras==3.15.1 jax==0.10.2",
    "torch": "keras==3.15.1 torch==2.13.0",
    "sklearn": "scikit-learn==1.9.1",
    "drawing": "matplotlib==3.11.2",
}

WHERE = {
    "engram": ("with_engram.py", None),
    "pytorch": ("plain_torch.py", "torch"),
    "keras-tensorflow": ("with_keras.py", "tensorflow"),
    "keras-torch": ("with_keras.py", "torch"),
    "keras-jax": ("with_keras.py", "jax"),
    "sklearn": ("with_sklearn.py", "sklearn"),
}
"""Peer -> its script, and the environment it runs in (None: this one)."""


@dataclass(frozen=True)
class Measurement:
    """One process. length: epochs, or for engram's command seconds of budget; 0 measures throughput."""

    peer: str
    setting: str
    length: int

    @property
    def measure(self) -> str:
        return "quality" if self.length else "throughput"


def measurements(peer: str, **lengths: tuple[int, ...]) -> list[Measurement]:
    """All of one peer: setting -> lengths."""
    return [Measurement(peer, setting, length) for setting, several in lengths.items() for length in several]


PLANNED = [
    *measurements("engram", engine=(0,), command=(45, 60, 75, 90)),
    *measurements("pytorch", float32=(0, 1), bfloat16=(0, 3), small=(6,)),
    *measurements("keras-tensorflow", default=(0, 4), best=(0, 6)),
    *measurements("keras-torch", default=(0, 3), best=(0, 3)),
    *measurements("keras-jax", default=(1,), best=(0, 1)),
    *measurements("sklearn", linear=(3,), default=(6,), best=(4,)),
]
"""In the order in which they run. The lengths of tuned peers lie around where they reach the target."""


def python_of(peer: str, cache: Path) -> Path:
    """Return the Python that runs a peer; its environment is made if it isn't there."""
    name = WHERE[peer][1] if peer in WHERE else peer
    if name is None:
        return Path(sys.executable)
    python, done = cache / name / "bin/python", cache / name / "installed"
    if not done.exists() or done.read_text() != ENVIRONMENTS[name]:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *ENVIRONMENTS[name].split()], check=True)
        done.write_text(ENVIRONMENTS[name])
    return python


def prepare(folder: Path, cache: Path) -> Path:
    """Return the data as one .npz file, called like the data set, and let engram prepare it once."""
    names = [name for name in TARGETS if name in folder.resolve().parts]
    if len(names) != 1:
        raise SystemExit(f"expected a folder called, or within one called, {' or '.join(TARGETS)}; got {folder}")
    path = cache / f"{names[0]}.npz"
    if not path.exists():
        arrays = {}
        for split, prefix in (("train", "train"), ("test", "t10k")):
            arrays[f"{split}_images"] = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
            arrays[f"{split}_labels"] = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        np.savez(path, **arrays)
    prepared = {**os.environ, "ENGRAM_CACHE": str(cache / "prepared")}
    command = [sys.executable, "-m", "engram", "inspect", str(path)]
    subprocess.run(command, env=prepared, check=True, capture_output=True)
    return path


def points(what: Measurement, data: Path, cache: Path, seed: int) -> list[dict[str, Any]]:
    """Measure, in a process of its own; return what it printed, one dictionary a point."""
    if what.setting == "command":
        case = Case(data.name, f"{what.length}s", "accuracy", target=0.0, cold=False)
        row = run_engram(what.peer, case, data.parent, seed=seed, cache=cache / "prepared")
        return [{"seconds": row["seconds"], "accuracy": row["value"]}]
    command = [str(python_of(what.peer, cache)), str(PEERS / WHERE[what.peer][0]), str(data), what.measure]
    command += ["--setting", what.setting, "--epochs", str(what.length), "--seed", str(seed)]
    command += ["--no-mirror"] if data.stem in SIGNS else []
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(os.cpu_count()),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "30000",  # as engram sets it for itself
        "KERAS_BACKEND": what.peer.removeprefix("keras-"),
        "ENGRAM_CACHE": str(cache / "prepared"),
    }
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    if finished.returncode:
        raise SystemExit(f"{what} failed:\n{finished.stderr[-4000:]}")
    return [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]


def lines_of(what: Measurement, found: list[dict[str, Any]], **common: object) -> list[dict[str, object]]:
    """One line of the CSV file for each point."""
    return [
        {
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "machine": f"{processor()}, {os.cpu_count()} cores",
            "peer": what.peer,
            "setting": what.setting,
            "measure": what.measure,
            "length": what.length,
            "seconds": point.get("seconds", ""),
            "value": point.get("accuracy", point.get("examples_per_second")),
            **common,
        }
        for point in found
    ]


def processor() -> str:
    """The processor's name as it gives it itself."""
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def append(lines: list[dict[str, object]], path: Path) -> None:
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        if new:
            writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--peers", nargs="+", choices=WHERE, default=list(WHERE), help="which ones (default: all)")
    parser.add_argument("--measure", choices=["all", "quality", "throughput", "none"], default="all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cache = given.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    data = prepare(given.folder, cache)
    drawing = python_of("drawing", cache)
    chosen = [w for w in PLANNED if w.peer in given.peers and given.measure in ("all", w.measure)]
    for peer in {what.peer for what in chosen}:
        python_of(peer, cache)
    before = machine_speed() if chosen else 0.0
    for what in chosen:
        found = points(what, data, cache, given.seed)
        speeds = {"tflops_before": round(before, 2), "tflops_after": round(before := machine_speed(), 2)}
        lines = lines_of(what, found, data=data.stem, seed=given.seed, **speeds)
        append(lines, RESULTS / "peers.csv")
        print(json.dumps(lines[-1]), flush=True)
    command = [
        str(drawing),
        str(PEERS / "summarise.py"),
        str(RESULTS / "peers.csv"),
        data.stem,
        str(TARGETS[data.stem]),
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
