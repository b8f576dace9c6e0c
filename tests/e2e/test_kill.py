"""A training that is killed at any moment, and resumed, is the one that was not killed: to the last bit.

Trainings run in processes of their own, forked from one that has imported torch. ENGRAM_KILLS sets how many moments
the nightly test tries (20 if it is not set).
"""

import json
import multiprocessing
import os
import random
import time

import pytest
import torch
from safetensors.torch import load_file

import engram
from engram.train.callbacks.checkpointing import Checkpointing

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["engram.api.training", "engram.report"])

OPTIONS = {
    "steps": 40, "device": "cpu", "size": "small",
    "settings": {"precision": "float32", "optimizer.average_decay": 0.9, "optimizer.learning_rate": 1e-3},
}  # fmt: skip


def learn(data, out, *, every=0.03):
    """Train, or go on where there is a run: what somebody does who repeats the last command until it has ended."""
    torch.set_num_threads(1)
    Checkpointing.__init__.__kwdefaults__["seconds"] = every
    if not (out / "run.json").exists():
        engram.train(str(data), out=out, **OPTIONS)
    elif json.loads((out / "run.json").read_text())["status"] != "done":
        engram.train(resume=out)


def started(data, out):
    process = context.Process(target=learn, args=(data, out))
    process.start()
    return process


def finished(data, out):
    process = started(data, out)
    process.join(120)
    assert process.exitcode == 0
    return out


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """A run that nobody killed, and the seconds it took."""
    finished(pictures, tmp_path_factory.mktemp("runs") / "first")  # pictures are prepared from now on
    began = time.monotonic()
    return finished(pictures, tmp_path_factory.mktemp("runs") / "whole"), time.monotonic() - began


def learned(run):
    """Everything that was learned: the tensors of every file, and what was told of steps and scores, times left out."""
    files = [*run.glob("*.safetensors"), max(run.glob("checkpoints/step-*/state.safetensors"), key=os.path.getmtime)]
    tensors = {f"{path.name}/{name}": value for path in files for name, value in load_file(path).items()}
    told = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    times = ("seconds", "seconds_left", "examples_per_second")
    steps = [{k: v for k, v in e.items() if k not in times} for e in told if e["event"] in ("step", "evaluated")]
    results = json.loads((run / "run.json").read_text())["results"]
    return tensors, steps, results


def assert_same(run, other):
    (tensors, steps, results), (other_tensors, other_steps, other_results) = learned(run), learned(other)
    assert tensors.keys() == other_tensors.keys()
    assert [n for n, value in tensors.items() if not torch.equal(value, other_tensors[n])] == []
    assert any("optimizer-" in name for name in tensors) and any("best" in n or "average" in n for n in tensors)
    assert steps == other_steps and steps[-1]["step"] == OPTIONS["steps"]
    assert results == other_results


def kill_and_resume(pictures, whole, out, luck, *, kills):
    run, seconds = whole
    for _ in range(kills):
        process = started(pictures, out)
        process.join(luck.uniform(0, seconds))
        process.kill()
        process.join()
    assert_same(run, finished(pictures, out))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_killed_training_goes_on_to_the_same_weights(pictures, whole, tmp_path, number):
    kill_and_resume(pictures, whole, tmp_path / "run", random.Random(number), kills=2)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_at_many_moments(pictures, whole, tmp_path):
    for number in range(int(os.environ.get("ENGRAM_KILLS", 20))):
        kill_and_resume(pictures, whole, tmp_path / str(number), random.Random(1000 + number), kills=1)
