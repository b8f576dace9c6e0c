"""The whole road through the command line, on small real files, the way a user walks it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

SHAPES = {"across": np.s_[8:11, 2:18], "down": np.s_[2:18, 8:11], "square": np.s_[6:14, 6:14]}


def engram(*arguments, check=True, **options):
    command = [sys.executable, "-m", "engram", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, **options)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def draw(folder, *, count, seed):
    random = np.random.default_rng(seed)
    for name, where in SHAPES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 90, (20, 20), dtype=np.uint8)
            pixels[where] = 210
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "photos"
    draw(folder / "train", count=60, seed=0)
    draw(folder / "test", count=20, seed=1)
    (folder / "train" / "down" / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "photos"
    result = engram("train", photos, "--steps", 40, "--out", out, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    done = events[-1]
    assert done["event"] == "done" and done["run"] == str(out)
    assert done["metrics"]["accuracy"]["value"] >= 0.9
    assert done["floors"]["majority_class"]["accuracy"]["value"] < 0.5
    assert any("broken.png" in json.dumps(event) or "unreadable" in json.dumps(event) for event in events)
    return out


def test_a_run_holds_what_comes_after_training(run):
    names = {path.name for path in run.iterdir()}
    assert {
        "run.json", "features.json", "features.safetensors", "model.safetensors", "floors.safetensors",
        "examples.safetensors", "metrics.jsonl", "predictions.parquet", "README.md", "report.html",
    } <= names  # fmt: skip
    assert "http://" not in (run / "report.html").read_text().replace("http://www.w3.org", "")
    for path in run.rglob("*"):
        if path.is_file():
            assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05"), f"{path} looks like a pickle"


def test_predictions_are_one_object_per_picture(run, photos):
    result = engram("predict", run, photos / "test", "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == 60
    right = sum(answer["label"] == Path(answer["input"]).parent.name for answer in answers)
    assert right >= 54
    assert all(0 <= answer["probability"] <= 1 and answer["unfamiliar"] in (True, False) for answer in answers)


def test_evaluation_of_the_same_rows_gives_the_score_of_training(run, photos):
    measured = json.loads(engram("evaluate", run, "--json").stdout)
    again = json.loads(engram("evaluate", run, photos, "--json").stdout)
    for name in ("accuracy", "cross_entropy"):
        assert again["metrics"][name]["value"] == pytest.approx(measured["metrics"][name]["value"], abs=2e-3)
    assert again["floors"].keys() == measured["floors"].keys() == {"majority_class", "linear_on_pixels"}


def test_a_run_is_not_better_than_itself(run):
    found = json.loads(engram("compare", run, run, "--json").stdout)
    assert all(one["verdict"] == "no difference" for one in found["comparisons"])


def test_inspection_names_the_unreadable_file_and_changes_nothing(photos):
    before = sorted(photos.rglob("*"))
    found = json.loads(engram("inspect", photos, "--json").stdout)
    assert found["task"] == "image_classification"
    assert "broken.png" in json.dumps(found["findings"])
    assert sorted(photos.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_is_resumed_to_the_same_weights(photos, tmp_path, number):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    engram("train", photos, "--steps", 150, "--out", whole)
    command = [sys.executable, "-m", "engram", "train", photos, "--steps", "150", "--out", stopped]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    metrics = stopped / "metrics.jsonl"
    while time.monotonic() < deadline and not (metrics.exists() and '"event": "step"' in metrics.read_text()):
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "--resume" in stderr
    engram("train", "--resume", stopped)
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "nowhere"], "nowhere"),
        (["predict", "nowhere", "x.png"], "engram train"),
        (["train"], "expected data"),
        (["trian", "x"], "train"),
    ],
)
def test_mistakes_are_told_in_one_message_without_a_traceback(arguments, said, tmp_path):
    result = engram(*arguments, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr and "Traceback" not in result.stderr
