"""Recommendation: train through the command line, beside peers on the same interactions, and write down what came out.

    python benchmarks/recommendation.py DATA [CASE ...] [--budget 5m] [--peers PYTHON]

DATA is a folder with ml_latest_small in it. Nothing else may run on the machine. Each measurement is one line of
benchmarks/results/recommendation.csv. Cases:

- ranking: ml_latest_small, the last 20 % of each user's interactions by time, all items.
- peers: other models on the interactions of that case: LightGCN and SASRec, and those of `implicit`.
- ratings: the same interactions, 20 % at random, RMSE.
- users: seconds for recommending to 10,000 users in one call, with the run of the first case.
- scale: 5, 10 and 20 million made interactions with 100,000 items: seconds by stage, and memory at its largest.

PYTHON is the interpreter of an environment with `implicit` (pip install implicit), which is no dependency of engram;
without it its models are left out, and that is said.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars

import engram
from engram.data import interactions, source

RESULTS = Path(__file__).parent / "results" / "recommendation.csv"
PEERS = Path(__file__).parent / "peers"
COLUMNS = ("case", "model", "metric", "value", "low", "high", "target", "seconds", "memory_gb", "note")
SHOWN = ("ndcg@10", "recall@20")
USERS = 10_000
ITEMS, THEMES = 100_000, 1_000

Line = dict[str, Any]


def trained(data: Path, out: Path, *options: str) -> tuple[dict[str, Any], float]:
    """Train by the command; return the closing event, and the largest memory of the process in GB."""
    command = [sys.executable, "-m", "engram", "train", str(data), "--out", str(out), "--json", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return json.loads(done[-1]), memory


def lines_of(case: str, done: dict[str, Any], targets: dict[str, float], memory: float) -> Iterator[Line]:
    """What is delivered, the network alone, and the floors."""
    against = json.loads((Path(done["run"]) / "run.json").read_text())["results"][done["split"]]["against_floors"]
    scores = {"engram": done["metrics"], **({"network alone": done["network"]} if done.get("network") else {})}
    for model, metrics in {**scores, **done["floors"]}.items():
        for metric, target in targets.items():
            seconds = {"seconds": round(done["seconds"], 1), "memory_gb": round(memory, 2)} if model == "engram" else {}
            note = f"engram is {against[model]['verdict']}" if model in against else done["delivered"]
            yield {"case": case, "model": model, "metric": metric, **metrics[metric], "target": target or "", **seconds,
                   "note": note}  # fmt: skip


def ranking(data: Path, work: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Rank all items."""
    ratings = data / "ml_latest_small" / "ratings.csv"
    done, memory = trained(ratings, work / "ranking", "--budget", options.budget)
    yield from lines_of("ranking", done, dict.fromkeys(SHOWN, 0.0), memory)


def peers(data: Path, work: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Rank all items by other models."""
    own = interactions.arranged(source.read(data / "ml_latest_small" / "ratings.csv")).columns["history"].values
    user = np.repeat(np.arange(len(own)), np.diff(own.begins))
    np.savez(work / "split.npz", user=user, item=own.item, side=own.side, num_items=len(own.catalogue))
    if options.peers is None:
        print("implicit is left out: --peers names no environment that has it.", file=sys.stderr)
    for python, script in ((options.peers, "with_implicit.py"), (sys.executable, "with_torch_ranking.py")):
        if python is not None:
            command = [python, PEERS / script, work / "split.npz"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
                for found in map(json.loads, running.stdout or ()):
                    for metric in SHOWN:
                        yield {"case": "peers", "model": found["model"], "metric": metric, "value": found[metric],
                               "seconds": found["seconds"], "note": found["note"]}  # fmt: skip
            assert running.returncode == 0, f"{script} failed"


def ratings(data: Path, work: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Predict ratings."""
    given = data / "ml_latest_small" / "ratings.csv"
    done, memory = trained(
        given, work / "ratings", "--budget", options.budget, "--target", "rating", "--split", "random"
    )
    yield from lines_of("ratings", done, {"rmse": 0.86, "mae": 0.0}, memory)


def users(data: Path, work: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Recommend to many users in one call."""
    if not (work / "ranking").is_dir():
        list(ranking(data, work, options))
    predictor = engram.load(work / "ranking")
    known = list(predictor.by_role.history.users)
    asked = [known[number % len(known)] for number in range(USERS)]
    predictor.recommend(user=asked[:100])
    began = time.perf_counter()
    answers = predictor.recommend(user=asked, k=10)
    seconds = time.perf_counter() - began
    assert len(answers) == USERS and all(len(answer["items"]) == 10 for answer in answers)
    note = f"{len(predictor.by_role.history.catalogue):,} items"
    yield {"case": "users", "model": "engram", "metric": "seconds", "value": seconds, "target": 2.0, "note": note}


def made(number: int, path: Path) -> None:
    """Interactions of users who like some themes, of which a few items are popular."""
    random, num_users = np.random.default_rng(0), max(1000, number // 100)
    user = random.integers(0, num_users, number)
    own = random.integers(0, THEMES, (num_users, 5))[user, random.integers(0, 5, number)]
    theme = np.where(random.random(number) < 0.8, own, random.integers(0, THEMES, number))
    item = theme + THEMES * np.minimum(random.pareto(1.0, number).astype(np.int64), ITEMS // THEMES - 1)
    when = 1_500_000_000 + random.integers(0, 10**8, number)
    polars.DataFrame({"user": user, "item": item, "timestamp": when}).write_csv(path)


def scale(data: Path, work: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Train on very many interactions: seconds before training as rows grow, and memory."""
    for millions in options.millions:
        path = work / f"{millions}m.csv"
        made(millions * 10**6, path)
        done, memory = trained(path, work / f"{millions}m", "--budget", options.budget)
        before = json.loads((Path(done["run"]) / "run.json").read_text())["before_seconds"]
        note = f"{millions} M rows; {before:.0f} s before training; ndcg@10 {done['metrics']['ndcg@10']['value']:.4f}"
        yield {"case": "scale", "model": "engram", "metric": "memory_gb", "value": memory, "target": 4.0,
               "seconds": round(done["seconds"], 1), "memory_gb": round(memory, 2), "note": note}  # fmt: skip


CASES = {"ranking": ranking, "peers": peers, "ratings": ratings, "users": users, "scale": scale}


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=list(CASES))
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--millions", type=int, nargs="*", default=[5, 10, 20])
    options = parser.parse_args()
    new = not RESULTS.exists()
    with tempfile.TemporaryDirectory() as work, open(RESULTS, "a", newline="") as file:
        writer = csv.DictWriter(file, ("date", "machine", *COLUMNS), restval="")
        if new:
            writer.writeheader()
        for case in options.cases:
            for line in CASES[case](options.data, Path(work), options):
                shown = {name: round(v, 4) if isinstance(v, float) else v for name, v in line.items()}
                print(json.dumps(shown), flush=True)
                writer.writerow({"date": time.strftime("%Y-%m-%d"), "machine": platform.machine(), **shown})


if __name__ == "__main__":
    main()
