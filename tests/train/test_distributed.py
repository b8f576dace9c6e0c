"""Several processes train as one does, hear one another's trouble, end together, and go on with fewer."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engram.core.rundir import RunDirectory
from engram.data.order import seed_within
from engram.train.checkpoint import load_newest

PROGRAM = Path(__file__).parents[1] / "team_run.py"


def start(run, *, size, **options):
    """Start a team of processes on a run directory, as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{name: str(value) for name, value in place.items()}}
        command = [sys.executable, PROGRAM, str(run), json.dumps(options)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    return processes


def train(path, *, size, **options):
    """Train to the end; the tensors that each process ends with."""
    run = RunDirectory(path)
    run.path.mkdir(exist_ok=True)
    for process in start(run, size=size, **options):
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    return [load_file(run / f"rank-{rank}.safetensors") for rank in range(size)]


def close(one, other, *, but=()):
    return all(torch.allclose(one[name].double(), other[name].double(), atol=2e-5) for name in one if name not in but)


STATISTICS = ("body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked")
"""Of the batches that the first process sees, so that these differ from one process's."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process ends with."""
    return train(tmp_path_factory.mktemp("runs") / "alone", size=1)[0]


def test_two_processes_learn_what_one_does_and_are_alike(tmp_path, alone):
    first, second = train(tmp_path / "two", size=2)
    assert all(torch.equal(first[name], second[name]) for name in first if name not in STATISTICS)
    assert close(first, alone, but=STATISTICS)
    assert torch.equal(first["unused.weight"], alone["unused.weight"])


@pytest.mark.slow
def test_three_processes_with_uneven_shares_learn_what_one_does(tmp_path):
    (alone,) = train(tmp_path / "alone", size=1, micro_batch=7)
    three = train(tmp_path / "three", size=3, micro_batch=7)
    assert all(close(one, alone, but=STATISTICS) for one in three)


def test_trouble_of_one_process_is_all_of_theirs_and_time_is_told_by_the_first(tmp_path):
    options = {"nan": [37, 1], "ranks": {"1": {"most": 6}}}
    first, second = train(tmp_path / "run", size=2, steps=1000, most_steps=30, interval=0.0, **options)
    assert all(torch.equal(first[name], second[name]) for name in first if name not in STATISTICS)
    lines = RunDirectory(tmp_path / "run").read_lines("decisions.jsonl")
    assert {line["decision"] for line in lines} == {"micro_batch", "steps", "rollback"}
    assert first["step"] == second["step"] == 30


@pytest.mark.parametrize("lost", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_when_one_is_lost_the_other_ends_and_one_goes_on_where_they_were(tmp_path, lost, alone):
    run = RunDirectory(tmp_path / "run").create()
    processes = start(run, size=2, interval=0.0, ranks={str(lost): {"die_at": 11}})
    assert processes[lost].wait(timeout=120) == 9
    began = time.monotonic()
    _, said = processes[1 - lost].communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert processes[1 - lost].returncode == 1 and "another process of this training has ended" in said
    assert load_newest(run).step in (10, 11)
    (resumed,) = train(run.path, size=1)
    assert close(resumed, alone, but=STATISTICS)


def test_the_luck_of_a_piece_does_not_depend_on_who_takes_it_but_differs_from_piece_to_piece():
    seeds = [seed_within(step, place, seed=seed) for seed in (0, 1) for step in (0, 1) for place in (0, 10)]
    assert len(set(seeds)) == 8 and seeds[0] == seed_within(0, 0, seed=0)
