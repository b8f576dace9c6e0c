"""Measure forecasts of real series beside peers in the same run, and add what was found to results/series.csv.

    python benchmarks/series.py DATA
    python benchmarks/series.py DATA --sets airline_passengers shampoo

DATA is a folder that holds ETTh1.csv and the small series. ETTh1 is divided as in the literature: 8,640 hours to learn
from, 2,880 for validation, 2,880 for the test (12, 4 and 4 months of 30 days), the rest unused; a copy of it has a
column that says so. Errors are in units of the spread of the hours to learn from, mean over all seven columns
and every origin of the test. The others are divided by engram itself: the last tenth of the time is the test, the
tenth before validation.

Peers: ridge as scikit-learn has it, from as long a lookback, each window less its mean, its strength chosen on
validation windows; and DLinear (Zeng et al. 2023, arXiv:2205.13504) in plain PyTorch, its weights chosen likewise. Each
row says its seconds, reading included.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "series.csv"
HORIZON, LOOKBACK = 96, 512
BORDERS = {"train": (0, 8_640), "val": (8_640, 11_520), "test": (11_520, 14_400)}
TARGETS = {"ETTh1": 0.367}
SMALL = (
    "airline_passengers",
    "shampoo",
    "daily_total_female_births",
    "daily_min_temperatures",
    "monthly_sunspots",
)
STRENGTHS = [10.0**power for power in range(0, 7)]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=["ETTh1", *SMALL])
    parser.add_argument("--budget", default="3m", help="of each engram training")
    parser.add_argument("--peers", nargs="*", default=["ridge", "dlinear"])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sets:
            path = (
                official(chosen.data / f"{name}.csv", Path(folder)) if name == "ETTh1" else chosen.data / f"{name}.csv"
            )
            for row in with_engram(name, path, Path(folder) / name, budget=chosen.budget):
                record(row)
            if name == "ETTh1":
                values = standardised(path)
                for peer in chosen.peers:
                    record(with_peer(peer, values))


def official(path: Path, folder: Path) -> Path:
    """Write the series with a column that says what each hour is for."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    made = folder / path.name
    with made.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "split"])
        for number, row in enumerate(rows):
            split = next((name for name, (start, stop) in BORDERS.items() if start <= number < stop), "")
            writer.writerow([*row, split])
    return made


def with_engram(name: str, path: Path, out: Path, *, budget: str) -> Iterator[dict[str, Any]]:
    """Train through the command line, as a user does; what is delivered, the network alone, and the floors."""
    command = ["train", str(path), "--task", "forecast", "--budget", budget, "--out", str(out), "--json"]
    command += ["--horizon", str(HORIZON)] if name == "ETTh1" else []
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "engram", *command], capture_output=True, text=True, check=True)
    seconds = time.monotonic() - began
    last = json.loads(done.stdout.strip().splitlines()[-1])
    facts = json.loads((out / "run.json").read_text())
    result = facts["results"]["test"]
    what = facts["competed"]["chosen"] if facts.get("competed") else "network"
    yield row(name, f"engram, as delivered ({what})", last["metrics"], seconds)
    if result.get("network"):
        yield row(name, "engram, network alone", result["network"], seconds)
    for floor, scores in last["floors"].items():
        yield row(name, f"engram, floor {floor}", scores, seconds)


def row(name: str, model: str, scores: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One line of results."""
    values = {key: round(float(scores[key]["value"]), 4) for key in ("mse", "mae", "mase", "coverage") if key in scores}
    return {"set": name, "model": model, **values, "seconds": round(seconds, 1)}


def standardised(path: Path) -> np.ndarray:
    """The seven columns (T, 7) in units of the hours to learn from."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    values = np.array([row[1:8] for row in rows], np.float32)
    learned = values[slice(*BORDERS["train"])]
    return (values - learned.mean(0)) / learned.std(0)


def windows(values: np.ndarray, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, L) and what comes after (N, H), of all columns, less the mean of each window."""
    start, stop = BORDERS[split]
    first = max(start, LOOKBACK)
    origins = np.arange(first, stop - HORIZON + 1)
    place = origins[:, None] + np.arange(-LOOKBACK, HORIZON)
    cut = values[place].transpose(0, 2, 1).reshape(-1, LOOKBACK + HORIZON)
    cut = cut - cut[:, :LOOKBACK].mean(1, keepdims=True)
    return cut[:, :LOOKBACK], cut[:, LOOKBACK:]


def with_peer(peer: str, values: np.ndarray) -> dict[str, Any]:
    """Fit a peer, and score it on the test."""
    began = time.monotonic()
    forecast = {"ridge": fit_ridge, "dlinear": fit_dlinear}[peer](values)
    read, wanted = windows(values, "test")
    off = forecast(read) - wanted
    scores = {"mse": {"value": np.square(off).mean()}, "mae": {"value": np.abs(off).mean()}}
    said = {"ridge": "scikit-learn ridge", "dlinear": "DLinear, plain PyTorch"}[peer]
    return row("ETTh1", said, scores, time.monotonic() - began)


def fit_ridge(values: np.ndarray) -> Any:
    """scikit-learn's ridge; the strength that errs least on validation windows."""
    from sklearn.linear_model import Ridge

    read, wanted = windows(values, "train")
    read_val, wanted_val = windows(values, "val")
    fitted = [Ridge(alpha=strength, fit_intercept=False).fit(read, wanted) for strength in STRENGTHS]
    return min(fitted, key=lambda one: np.square(one.predict(read_val) - wanted_val).mean()).predict


def fit_dlinear(values: np.ndarray, *, epochs: int = 10, batch: int = 32 * 7) -> Any:
    """DLinear: a moving average and the rest, a linear layer each; Adam at 0.005, halved after each epoch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    trend, rest = nn.Linear(LOOKBACK, HORIZON), nn.Linear(LOOKBACK, HORIZON)
    for layer in (trend, rest):
        nn.init.constant_(layer.weight, 1 / LOOKBACK)

    def forward(read: Any) -> Any:
        smooth = nn.functional.avg_pool1d(nn.functional.pad(read[:, None], (12, 12), mode="replicate"), 25, 1)[:, 0]
        return trend(smooth) + rest(read - smooth)

    read, wanted = (torch.from_numpy(part) for part in windows(values, "train"))
    read_val, wanted_val = (torch.from_numpy(part) for part in windows(values, "val"))
    optimizer = torch.optim.Adam([*trend.parameters(), *rest.parameters()], lr=0.005)
    best: tuple[float, list[Any]] = (float("inf"), [])
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.005 * 0.5**epoch
        for some in torch.randperm(len(read)).split(batch):
            optimizer.zero_grad()
            nn.functional.mse_loss(forward(read[some]), wanted[some]).backward()
            optimizer.step()
        with torch.no_grad():
            error = float(nn.functional.mse_loss(forward(read_val), wanted_val))
        if error < best[0]:
            best = error, [{k: v.clone() for k, v in layer.state_dict().items()} for layer in (trend, rest)]
    for layer, state in zip((trend, rest), best[1], strict=True):
        layer.load_state_dict(state)
    return lambda read: forward(torch.from_numpy(read)).detach().numpy()


def record(found: dict[str, Any]) -> None:
    """Print a line and add it to the results."""
    target = TARGETS.get(found["set"], "") if "delivered" in found["model"] else ""
    columns = ("date", "set", "model", "mse", "mae", "mase", "coverage", "target_mse", "seconds")
    line = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "target_mse": target, **found}
    print({name: line[name] for name in columns if line.get(name, "") != ""}, flush=True)
    new = not RESULTS.exists()
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        writer.writerow({name: line.get(name, "") for name in columns})


if __name__ == "__main__":
    main()
