"""A training that was stopped, however early, ends in the same model as one that was not."""

import contextlib
import json
import os
import signal
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import engram
from engram.core import events
from engram.core.errors import DiskError, Stopped


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(60):
        picture = random.integers(0, 90, (12, 12), dtype=np.uint8)
        picture[: 2 + 3 * (number % 3)] = 200
        (folder / f"class {number % 3}").mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"class {number % 3}" / f"{number}.png")
    return folder


def stopped_at(moment, data, **options):
    """Train, and ask for a stop at the first event of its moment."""

    asked = []

    def ask(event):
        if not asked and moment(event):
            asked.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped), events.listening(ask):
        engram.train(str(data), **options)


def same(run_a, run_b):
    a, b = (load_file(run / "model.safetensors") for run in (run_a, run_b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def learned(run):
    """What metrics.jsonl tells of steps and scores, times left out."""
    told = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    times = ("seconds", "seconds_left", "examples_per_second")
    return [{k: v for k, v in e.items() if k not in times} for e in told if e["event"] in ("step", "evaluated")]


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """An uninterrupted training that started from the weights of another, and its options."""
    folder = tmp_path_factory.mktemp("runs")
    engram.train(str(pictures), out=folder / "first", steps=1, seed=1, device="cpu")
    settings = {"optimizer.average_decay": 0.9}
    options = {"steps": 12, "device": "cpu", "start_from": folder / "first", "settings": settings}
    engram.train(str(pictures), out=folder / "whole", **options)
    return folder / "whole", options


def test_an_evaluation_is_cut_short_by_a_stop_and_made_up_for(whole, pictures, tmp_path, monkeypatch):
    from engram.metrics.accuracy import Accuracy

    _, options = whole
    calls, update = [], Accuracy.update

    def slow(self, output, batch):
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, output, batch)

    settings = {**options["settings"], "micro_batch": 2}
    engram.train(str(pictures), out=tmp_path / "whole", **{**options, "settings": settings})
    monkeypatch.setattr(Accuracy, "update", slow)
    with pytest.raises(Stopped, match="Stopped at step"):
        engram.train(str(pictures), out=tmp_path / "cut", **{**options, "settings": settings})
    assert len(calls) == 4, "no further batch was scored"
    engram.train(resume=tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut") and learned(tmp_path / "whole") == learned(tmp_path / "cut")


MOMENTS = {
    "before the first step": lambda e: e.get("name") == "training",
    "between": lambda e: e["event"] == "evaluated" and e["step"] >= 7,
    "after the last": lambda e: e["event"] == "evaluated" and e["step"] == 12,
    "evaluation": lambda e: e.get("name") == "evaluation",
    "report": lambda e: e.get("name") == "report",
}


@pytest.fixture
def disk(tmp_path):
    """A disk of 100 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting takes rights that are missing here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_stops_the_training_and_it_goes_on_where_there_is_room(whole, pictures, disk):
    def fill(event):
        if event["event"] == "step" and event["step"] == 7:
            with contextlib.suppress(OSError), open(disk / "full", "wb") as file:
                while True:
                    file.write(bytes(4096))

    run, options = whole
    said = r"No space left.*needs \d+.* free on its disk are .*--resume .*/cut"
    with pytest.raises(DiskError, match=said) as refused, events.listening(fill):
        engram.train(str(pictures), out=disk / "cut", **options)
    assert refused.value.exit_code == 1
    with pytest.raises(DiskError, match=r"/cut\b.* free (on its disk )?are "):
        engram.train(resume=disk / "cut")
    (disk / "full").unlink()
    engram.train(resume=disk / "cut")
    assert same(run, disk / "cut") and learned(disk / "cut") == learned(run)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_resumed_training_is_the_uninterrupted_one(whole, pictures, tmp_path, moment):
    run, options = whole
    stopped_at(MOMENTS[moment], pictures, out=tmp_path / "cut", **options)
    engram.train(resume=tmp_path / "cut")
    assert same(run, tmp_path / "cut")
    assert learned(tmp_path / "cut") == learned(run)
    assert (tmp_path / "cut" / "report.html").exists()
