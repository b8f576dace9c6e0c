"""A training that was stopped, however early, ends in the same model as one that was not."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import engram
from engram.core import events
from engram.core.errors import Stopped


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


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """An uninterrupted training that started from the weights of another, and its options."""
    folder = tmp_path_factory.mktemp("runs")
    engram.train(str(pictures), out=folder / "first", steps=1, seed=1, device="cpu")
    settings = {"optimizer.average_decay": 0.9}
    options = {"steps": 12, "device": "cpu", "start_from": folder / "first", "settings": settings}
    engram.train(str(pictures), out=folder / "whole", **options)
    return folder / "whole", options


@pytest.mark.parametrize("step", [0, 7, 12], ids=["before the first step", "between", "after the last"])
def test_a_resumed_training_is_the_uninterrupted_one(whole, pictures, tmp_path, step):
    run, options = whole
    kinds = ("checkpoint", "evaluated")
    stopped_at(lambda e: e["event"] in kinds and e["step"] >= step, pictures, out=tmp_path / "cut", **options)
    engram.train(resume=tmp_path / "cut")
    assert same(run, tmp_path / "cut")
