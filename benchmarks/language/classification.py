"""Text classification: accuracy as delivered, and of network and floor alone, at small budgets.

Sets without a given division are scored in ten folds, which are drawn at random with seed 0; the others with several
seeds on their given test rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FLOOR = "linear_on_text"


@dataclass(frozen=True)
class Case:
    """data: below DATA; a file (folds), or a folder with train.csv, test.csv and perhaps dev.csv (seeds). target: the
    mean accuracy to reach as delivered. names: of the classes, where the file only numbers the steps of a scale."""

    data: str
    budget: str
    target: float
    names: tuple[str, ...] = ()


CASES = {
    "rt_polarity_1m": Case("rt_polarity/rt_polarity.csv", "1m", 0.80),
    "rt_polarity_2m": Case("rt_polarity/rt_polarity.csv", "2m", 0.80),
    "subj_1m": Case("subj/subj.csv", "1m", 0.933),
    "subj_2m": Case("subj/subj.csv", "2m", 0.933),
    "sst2_2m": Case("sst2", "2m", 0.84),
    "sst5_2m": Case("sst5", "2m", 0.435, ("very negative", "negative", "neutral", "positive", "very positive")),
    "trec_2m": Case("trec", "2m", 0.925),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="which (default: all)")
    parser.add_argument("--folds", type=int, default=10, help="of the ten, so many are trained and scored")
    parser.add_argument("--seeds", type=int, default=5)


def rows(arguments: argparse.Namespace, machine_speed: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Train and score, one row a training."""
    for name in arguments.cases or CASES:
        case = CASES[name]
        folds = case.data.endswith(".csv")
        for number in range(arguments.folds if folds else arguments.seeds):
            with tempfile.TemporaryDirectory() as folder:
                table = Path(folder) / f"{Path(case.data).stem}.csv"
                found = _fold(arguments.data / case.data, number) if folds else _given(arguments.data / case.data)
                _write(table, found, names=case.names)
                seed = 0 if folds else number
                part = f"fold {number}" if folds else "test"
                before = round(machine_speed(), 2)
                row = {"case": name, "part": part, "seed": seed, "budget": case.budget, "target": case.target}
                row |= train(table, Path(folder) / "run", budget=case.budget, seed=seed)
                yield {**row, "tflops_before": before, "tflops_after": round(machine_speed(), 2)}


def train(table: Path, run: Path, *, budget: str, seed: int) -> dict[str, object]:
    """Train once through the command line; the clock is that of this process, around the whole command."""
    command = [sys.executable, "-m", "engram", "train", str(table), "--budget", budget, "--seed", str(seed)]
    began = time.monotonic()
    finished = subprocess.run([*command, "--out", str(run), "--json"], capture_output=True, text=True)
    seconds = time.monotonic() - began
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr}")
    done = json.loads(finished.stdout.splitlines()[-1])
    score = done["metrics"]["accuracy"]
    return {
        "metric": "accuracy",
        **{name: round(score[name], 5) for name in ("value", "low", "high")},
        "network": round((done["network"] or done["metrics"])["accuracy"]["value"], 5),
        "floor": round(done["floors"][FLOOR]["accuracy"]["value"], 5),
        "delivered": json.loads((run / "run.json").read_text())["competed"]["chosen"],
        "seconds": round(seconds, 2),
        "predicted_seconds": done["predicted_seconds"],
    }


def _fold(path: Path, number: int) -> list[tuple[str, str, str]]:
    """All rows, a tenth of them for the test."""
    found = _read(path)
    order = list(range(len(found)))
    random.Random(0).shuffle(order)
    place = {row: at * 10 // len(found) for at, row in enumerate(order)}
    return [(text, label, "test" if place[row] == number else "train") for row, (text, label) in enumerate(found)]


def _given(folder: Path) -> list[tuple[str, str, str]]:
    """The rows of the files of a folder, as they are divided."""
    splits = {"train": "train", "dev": "val", "test": "test"}
    files = {split: folder / f"{name}.csv" for name, split in splits.items()}
    return [(*row, split) for split, path in files.items() if path.exists() for row in _read(path)]


def _read(path: Path) -> list[tuple[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def _write(path: Path, found: list[tuple[str, str, str]], *, names: tuple[str, ...]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        writer.writerows((text, names[int(label)] if names else label, split) for text, label, split in found)
