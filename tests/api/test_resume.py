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
    """Train, and ask for a stop at the first event that `moment` says yes to."""

    def ask(event):
        if moment(event):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped), events.listening(ask):
        engram.train(str(data), **options)


def same(run_a, run_b):
    a, b = (load_file(run / "model.safetensors") for run in (run_a, run_b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("step", [0, 7, 12], ids=["before the first step", "between", "after the last"])
def test_a_resumed_training_is_the_uninterrupted_one(pictures, tmp_path, step):
    whole, cut, first = tmp_path / "whole", tmp_path / "cut", tmp_path / "first"
    engram.train(str(pictures), out=first, steps=2, seed=1, device="cpu")
    options = {"steps": 12, "device": "cpu", "start_from": first, "settings": {"optimizer.average_decay": 0.9}}
    engram.train(str(pictures), out=whole, **options)
    stopped_at(lambda e: e["event"] == "checkpoint" and e["step"] == step, pictures, out=cut, **options)
    engram.train(resume=cut)
    assert same(whole, cut)
