"""A table through the command line, as a user walks it."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def engram(*arguments, check=True):
    command = [sys.executable, "-m", "engram", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert not check or result.returncode == 0, result.stderr
    return result


def test_from_a_spreadsheet_to_answers(tmp_path):
    random = np.random.default_rng(0)
    size, place = random.uniform(20, 200, 300), random.choice(["town", "village"], 300)
    price = 3000 * size * np.where(place == "town", 1.5, 1) + random.normal(0, 20_000, 300)
    with open(tmp_path / "flats.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "place", "price"])
        writer.writerows(zip(size.round(1), place, price.round(), strict=True))
    refused = engram("train", tmp_path / "flats.csv", check=False)
    assert refused.returncode == 2 and "--target price" in refused.stderr
    trained = engram("train", tmp_path / "flats.csv", "--target", "price", "--steps", 40, "--out", tmp_path / "run")
    assert "table_regression" in trained.stdout and "Delivered is" in trained.stdout
    (tmp_path / "new.csv").write_text("size,place\n100,town\n50,village\n")
    answered = engram("predict", tmp_path / "run", tmp_path / "new.csv", "--level", "0.9", "--json")
    town, village = map(json.loads, answered.stdout.splitlines())
    assert 300_000 < town["value"] < 600_000 and 80_000 < village["value"] < 250_000
    assert town["low"] < town["value"] < town["high"]
    shown = engram("predict", tmp_path / "run", tmp_path / "new.csv").stdout
    assert "value" in shown and f"{town['value']:,.0f}" in shown
