"""Tables: train through the command line, beside boosted trees on the same rows, and write down what came out.

    python benchmarks/tables.py DATA [CASE ...] [--seeds 3] [--budget 30s]

DATA is a folder that holds the tables under the names below. Nothing else may run on the machine. Each model is one
line of benchmarks/results/tables.csv: what engram delivers, its network alone, its floors, and the peers: LightGBM with
early stopping on a tenth of the training rows and small steps, and scikit-learn's HistGradientBoosting as it comes.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars

RESULTS = Path(__file__).parent / "results" / "tables.csv"
SPLIT = "split"


@dataclass(frozen=True)
class Case:
    """data: below DATA; a folder has a file for each split, a single file is divided 80/20 by the seed. unit: what the
    target is divided by before errors are told. metrics: what is written down, with the target of each (0: none)."""

    data: str
    label: str
    budget: str
    metrics: dict[str, float]
    unit: float = 1.0


CASES = {
    "adult": Case("adult", "income", "3m", {"accuracy": 0.874, "auroc": 0.928}),
    "california": Case("california_housing.csv", "median_house_value", "5m", {"rmse": 0.45, "coverage": 0.8}, unit=1e5),
    "wine_red": Case("wine_quality_red.csv", "quality", "1m", {"accuracy": 0.0}),
    "wine_white": Case("wine_quality_white.csv", "quality", "1m", {"accuracy": 0.0}),
    "pima": Case("pima_diabetes.csv", "outcome", "1m", {"accuracy": 0.0, "auroc": 0.0}),
    "iris": Case("iris.csv", "species", "1m", {"accuracy": 0.0}),
}


def divided(case: Case, data: Path, seed: int) -> polars.DataFrame:
    """All rows, with a column that says which are for training and which for test."""
    place = data / case.data
    if place.is_dir():
        parts = {name: polars.read_csv(place / f"{name}.csv", infer_schema_length=None) for name in ("train", "test")}
        return polars.concat([part.with_columns(polars.lit(name).alias(SPLIT)) for name, part in parts.items()])
    frame = polars.read_csv(place, infer_schema_length=None)
    test = np.random.default_rng(seed).permutation(len(frame)) < len(frame) // 5
    return frame.with_columns(polars.Series(SPLIT, np.where(test, "test", "train")))


Found = Iterator[tuple[str, dict[str, Any], float]]
"""Who, scores by metric, seconds."""


def engram(case: Case, frame: polars.DataFrame, *, seed: int, budget: str) -> Found:
    """What engram delivers, its network alone and its floors; the seconds are those of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        frame.write_csv(table)
        command = [sys.executable, "-m", "engram", "train", str(table), "--target", case.label, "--split", SPLIT]
        command += ["--budget", budget, "--seed", str(seed), "--out", str(Path(folder) / "run"), "--json"]
        began = time.monotonic()
        finished = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "ENGRAM_CACHE": folder})
        seconds = time.monotonic() - began
        if finished.returncode:
            raise SystemExit(f"{command} failed:\n{finished.stderr}")
        scores = json.loads((Path(folder) / "run" / "run.json").read_text())["results"]["test"]
    yield "engram", scores["metrics"], seconds
    if scores["network"]:
        yield "engram, network alone", scores["network"], seconds
    for name, floor in scores["floors"].items():
        yield f"engram, floor {name}", floor, seconds


def encoded(case: Case, frame: polars.DataFrame) -> tuple[np.ndarray, list[int], np.ndarray, np.ndarray]:
    """Values and codes for the peers: (rows, places of categories, labels, which rows are for training)."""
    names = [name for name in frame.columns if name not in (case.label, SPLIT)]
    texts = [place for place, name in enumerate(names) if frame[name].dtype == polars.String]
    coded = polars.col(polars.String).cast(polars.Categorical).to_physical()
    rows = frame.select(coded, polars.col(polars.Float64, polars.Int64))
    label = frame[case.label]
    classes = "rmse" not in case.metrics
    numbers = label.cast(polars.String).rank("dense") - 1 if classes else label.cast(polars.Float64)
    values = rows.select(names).to_numpy().astype(np.float64)
    return values, texts, numbers.to_numpy(), (frame[SPLIT] == "train").to_numpy()


def lightgbm(x: np.ndarray, y: np.ndarray, texts: list[int], seed: int, *, classes: bool) -> Callable[..., np.ndarray]:
    """LightGBM with small steps, stopped early on a tenth of the rows."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    held = np.random.default_rng(seed).permutation(len(x)) < len(x) // 10
    kind = LGBMClassifier if classes else LGBMRegressor
    steps = {"n_estimators": 5000, "learning_rate": 0.03}
    model = kind(**steps, subsample=0.8, subsample_freq=1, colsample_bytree=0.7, verbose=-1)
    stop = [early_stopping(100, verbose=False)]
    model.fit(x[~held], y[~held], eval_set=[(x[held], y[held])], categorical_feature=texts, callbacks=stop)
    return model.predict_proba if classes else model.predict


def boosting(x: np.ndarray, y: np.ndarray, texts: list[int], seed: int, *, classes: bool) -> Callable[..., np.ndarray]:
    """HistGradientBoosting as it comes."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model = kind(categorical_features=texts or None, random_state=seed).fit(x, y)
    return model.predict_proba if classes else model.predict


PEERS = {"LightGBM": lightgbm, "HistGradientBoosting": boosting}


def peers(case: Case, frame: polars.DataFrame, *, seed: int) -> Found:
    """The same of the peers; their seconds are those of fitting."""
    from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error

    x, texts, y, train = encoded(case, frame)
    classes = "rmse" not in case.metrics
    for name, fit in PEERS.items():
        began = time.monotonic()
        answer = fit(x[train], y[train], texts, seed, classes=classes)
        seconds, found = time.monotonic() - began, answer(x[~train])
        scores = {"rmse": root_mean_squared_error(y[~train], found)} if not classes else {}
        if classes:
            scores["accuracy"] = accuracy_score(y[~train], found.argmax(1))
        if classes and found.shape[1] == 2:
            scores["auroc"] = roc_auc_score(y[~train], found[:, 1])
        yield name, {metric: {"value": value} for metric, value in scores.items()}, seconds


def lines(name: str, case: Case, data: Path, *, seed: int, budget: str) -> Iterator[dict[str, object]]:
    """Everything that is measured of a case with one seed."""
    frame = divided(case, data, seed)
    for who, scores, seconds in (*engram(case, frame, seed=seed, budget=budget), *peers(case, frame, seed=seed)):
        for metric, target in case.metrics.items():
            if metric not in scores:
                continue
            unit, score = case.unit if metric == "rmse" else 1.0, scores[metric]
            ends = {end: round(score[end] / unit, 5) if end in score else "" for end in ("low", "high")}
            yield {
                "date": time.strftime("%Y-%m-%d"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "case": name,
                "seed": seed,
                "budget": budget,
                "who": who,
                "metric": metric,
                "value": round(score["value"] / unit, 5),
                **ends,
                "target": target or "",
                "seconds": round(seconds, 2),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="which cases (default: all)")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", help="in place of that of the case")
    arguments = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for name in arguments.cases or CASES:
        for seed in range(arguments.seeds):
            case = CASES[name]
            for row in lines(name, case, arguments.data, seed=seed, budget=arguments.budget or case.budget):
                print(json.dumps(row), flush=True)
                new = not RESULTS.exists()
                with open(RESULTS, "a", newline="") as file:
                    writer = csv.DictWriter(file, row)
                    if new:
                        writer.writeheader()
                    writer.writerow(row)


if __name__ == "__main__":
    main()
