"""Quality and kept time budgets: train on real data sets through the command line, and write down what came out.

    python benchmarks/quality.py DATA [NAME ...] [--seeds 3]

DATA is a folder that holds the data sets under the names below. Nothing else may run on the machine.
Each training is one line of benchmarks/results/quality.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "quality.csv"


@dataclass(frozen=True)
class Case:
    """data: below DATA. metric: of the test split. target: what it must reach. cold: nothing prepared."""

    data: str
    budget: str
    metric: str
    target: float
    cold: bool = True


CASES = {
    "fashion_10m": Case("fashion_mnist", "10m", "accuracy", 0.945),
    "fashion_2m_cold": Case("fashion_mnist", "2m", "accuracy", 0.925),
    "fashion_2m_prepared": Case("fashion_mnist", "2m", "accuracy", 0.930, cold=False),
    "fashion_1m_prepared": Case("fashion_mnist", "1m", "accuracy", 0.0, cold=False),
    "fashion_3m_prepared": Case("fashion_mnist", "3m", "accuracy", 0.0, cold=False),
    "mnist_3m": Case("mnist", "3m", "accuracy", 0.996),
    "sign_language_3m": Case("sign_language_digits", "3m", "accuracy", 0.985),
    "pneumonia_3m": Case("pneumoniamnist", "3m", "auroc", 0.95),
    "faces_2m": Case("orl_faces", "2m", "accuracy", 0.94),
}


def machine_speed() -> float:
    """TFLOP/s of a bfloat16 matrix product: low, or different before and after, means that something else ran."""
    code = (
        "import torch, time\n"
        "a = torch.ones(2048, 2048, dtype=torch.bfloat16); best = 9.0\n"
        "for _ in range(6):\n"
        "    t = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - t)\n"
        "print(2 * 2048**3 / best / 1e12)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def run(name: str, case: Case, data: Path, *, seed: int, cache: Path) -> dict[str, object]:
    """Train once; the clock is that of this process, around the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ENGRAM_CACHE": str(Path(folder) / "cache" if case.cold else cache)}
        command = [sys.executable, "-m", "engram", "train", str(data / case.data), "--budget", case.budget]
        command += ["--seed", str(seed), "--out", str(Path(folder) / "run"), "--json"]
        before, began = machine_speed(), time.monotonic()
        finished = subprocess.run(command, capture_output=True, text=True, env=environment)
        seconds = time.monotonic() - began
        if finished.returncode:
            raise SystemExit(f"{name} failed:\n{finished.stderr}")
        done = json.loads(finished.stdout.splitlines()[-1])
        facts = json.loads((Path(folder) / "run" / "run.json").read_text())
    score = done["metrics"][case.metric]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "case": name,
        "seed": seed,
        "budget": case.budget,
        "metric": case.metric,
        "value": round(score["value"], 5),
        "low": round(score["low"], 5),
        "high": round(score["high"], 5),
        "target": case.target,
        "seconds": round(seconds, 2),
        "predicted_seconds": done["predicted_seconds"],
        "size": facts["plan"]["size"],
        "passes": facts["plan"]["passes"],
        "tflops_before": round(before, 2),
        "tflops_after": round(machine_speed(), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *CASES], help="which cases (default: all)")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        for name in arguments.names or CASES:
            for seed in range(arguments.seeds):
                case = CASES[name]
                if not case.cold:
                    warm = {**os.environ, "ENGRAM_CACHE": cache}
                    inspect = [sys.executable, "-m", "engram", "inspect", str(arguments.data / case.data)]
                    subprocess.run(inspect, env=warm, check=True, capture_output=True)
                row = run(name, case, arguments.data, seed=seed, cache=Path(cache))
                print(json.dumps(row), flush=True)
                new = not RESULTS.exists()
                with open(RESULTS, "a", newline="") as file:
                    writer = csv.DictWriter(file, row)
                    if new:
                        writer.writeheader()
                    writer.writerow(row)


if __name__ == "__main__":
    main()
