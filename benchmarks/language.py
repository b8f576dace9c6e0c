"""What engram reaches on language: each kind of measurement is a file in benchmarks/language/.

    python benchmarks/language.py classification DATA [CASE ...] [--folds 10] [--seeds 5]

DATA is a folder that holds the data sets under the names that a kind's cases say. Nothing else may run on the
machine. Each training is one line of benchmarks/results/language.csv.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import pkgutil
import platform
import time
from pathlib import Path

import language
from quality import machine_speed

RESULTS = Path(__file__).parent / "results" / "language.csv"

COLUMNS = (
    *("date", "machine", "kind", "case", "part", "seed", "budget", "metric", "value", "low", "high", "target"),
    *("network", "floor", "delivered", "seconds", "predicted_seconds", "tflops_before", "tflops_after"),
)
"""part: which fold, direction or other part of a case. network, floor: what they reach alone, where they compete."""


def write(row: dict[str, object]) -> None:
    """Add one line to the results, with date and machine."""
    row = {"date": time.strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {os.cpu_count()} cores", **row}
    print(json.dumps(row), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    new = not RESULTS.exists()
    with open(RESULTS, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for found in pkgutil.iter_modules(language.__path__):
        kind = importlib.import_module(f"language.{found.name}")
        chosen = kinds.add_parser(found.name, help=kind.__doc__.partition("\n")[0])
        kind.add_arguments(chosen)
        chosen.set_defaults(kind=found.name, rows=kind.rows)
    arguments = parser.parse_args()
    for row in arguments.rows(arguments, machine_speed):
        write({"kind": arguments.kind, **row})


if __name__ == "__main__":
    main()
