"""Losses that are no numbers, spikes, memory that runs out: what is done about them, killed and resumed anywhere."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engram.core import events
from engram.core.memory import OutOfMemoryError
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Step, Task
from engram.data.examples import Examples
from engram.optim.build import Optimization
from engram.train.callbacks.callback import Callback
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.rollback import Rollback, TrainingDivergedError
from engram.train.checkpoint import load_newest
from engram.train.decisions import Decisions
from engram.train.plan import Plan
from engram.train.trainer import Trainer


class Line(Task):
    """y = 3x; more examples at once than `most` need more memory than there is."""

    def __init__(self, most=100):
        self.most = most

    def step(self, model, batch):
        loss = ((model(batch.x) - 3 * batch.x) ** 2).sum()
        if len(batch) > self.most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")
        return Step(loss, weight=len(batch))


class Numbers(Examples):
    """Row r is the number r / 100, but `poisoned` (row, epoch) are something else."""

    def __init__(self, poisoned=()):
        super().__init__({}, {}, {"train": np.arange(100)})
        self.poisoned = dict(poisoned)

    def batch(self, rows, *, augmentation=None, seed=0, epoch=0):
        epochs = np.broadcast_to(epoch, rows.shape)
        x = [self.poisoned.get((row, e), row / 100) for row, e in zip(rows.tolist(), epochs.tolist(), strict=True)]
        return Batch(rows=rows, x=torch.tensor(x).float()[:, None])


class EveryFourSteps(Checkpointing):
    def after_step(self, trainer, *, loss, learning_rate):
        self.interval = -1.0 if trainer.pace.step % 4 == 0 else math.inf
        super().after_step(trainer, loss=loss, learning_rate=learning_rate)


class KilledError(Exception):
    pass


class Kill(Callback):
    """Ends the process after so many steps, counted as they are taken, or just before a decision is put in force."""

    def __init__(self, steps=None, decision=None):
        self.steps, self.decision = steps, decision

    def begin(self, trainer):
        heed = trainer._heed_decisions

        def heed_or_die():
            if len(trainer.decisions.lines) == self.decision:
                raise KilledError
            heed()

        trainer._heed_decisions = heed_or_die

    def after_step(self, trainer, *, loss, learning_rate):
        self.steps = None if self.steps is None else self.steps - 1
        if self.steps == 0:
            raise KilledError


def trainer(run, *, steps=26, poisoned=(), most=100, kill=None, micro_batch=20):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, 16), nn.Linear(16, 1))
    plan = Plan(batch_size=20, micro_batch=micro_batch, steps=steps, optimizer=Optimization(average_decay=0.9))
    callbacks = [Rollback(run), EveryFourSteps(run), *([kill] if kill else [])]
    made = Trainer(Line(most), model, Numbers(poisoned), plan, callbacks=callbacks, decisions=Decisions.open(run))
    if (newest := load_newest(run)) is not None:
        made.restore(newest)
    return made


def folder(path):
    return RunDirectory(path).create()


def everything(trainer):
    tensors = trainer.checkpoint().tensors
    return {name: value.detach().clone() for name, value in tensors.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


NAN, BAD = float("nan"), {(37, 1): float("nan"), (50, 2): float("inf"), (8, 3): float("nan")}
END = {**BAD, (60, 7): NAN}


def kinds(run):
    return [line["decision"] for line in run.read_lines("decisions.jsonl")]


def test_one_bad_batch_costs_one_batch_and_is_told(tmp_path):
    run, heard = folder(tmp_path / "run"), []
    trained = trainer(run, poisoned={(37, 1): NAN})
    with events.listening(heard.append):
        trained.fit()
    (line,) = run.read_lines("decisions.jsonl")
    assert line["decision"] == "rollback" and line["to"] == line["step"] and 5 <= line["step"] < 10
    told = [event for event in heard if event["event"] == "decision"]
    assert told[0]["step"] == told[0]["at"] == line["step"]
    assert len(told) == 1 and "the loss became nan" in told[0]["message"]
    assert trained.pace.step == 26 and trained.sound()
    assert trained.decisions.batch(line["step"]) == line["step"] + 1 and trained.decisions.rate == 0.5


def test_a_gradient_that_is_no_number_is_caught_before_it_moves_anything(tmp_path):
    class Root(Line):
        def step(self, model, batch):
            nothing = (model(batch.x) * 0).square().sum().sqrt()  # 0, and its derivative is no number
            return Step(super().step(model, batch).loss_sum + nothing, weight=len(batch))

    trained = trainer(folder(tmp_path / "run"))
    trained.task = Root()
    before = everything(trained)
    with pytest.raises(TrainingDivergedError, match="gradient became nan, for the 4th time"):
        trained.fit()
    trained.undo_step()
    assert same(everything(trained), before)


def test_trouble_goes_back_further_each_time_and_ends_with_the_best(tmp_path):
    run = folder(tmp_path / "run")
    trained = trainer(run, steps=42, poisoned=END)
    trained.fit()
    lines = run.read_lines("decisions.jsonl")
    assert kinds(run) == ["rollback"] * 3 + ["end"]
    assert all(line["to"] == line["step"] for line in (lines[0], lines[3]))
    assert all(line["to"] == line["step"] // 4 * 4 < line["step"] for line in lines[1:2])
    assert trained.sound() and trained.pace.finished and 35 <= trained.pace.step == lines[3]["to"] < 40


EVERYWHERE = [{"steps": n} for n in range(1, 50)] + [{"decision": n} for n in range(1, 7)]
HERE_AND_THERE = EVERYWHERE[9:40:7] + EVERYWHERE[-5:]


@pytest.mark.parametrize(
    ("moments", "most"),
    [
        (HERE_AND_THERE, 6),
        pytest.param(EVERYWHERE, 6, marks=pytest.mark.slow),
        pytest.param(EVERYWHERE, 100, marks=pytest.mark.slow),
    ],
    ids=["here and there", "everywhere", "everywhere, with memory"],
)
@pytest.mark.parametrize(("poisoned", "steps"), [(BAD, 26), (END, 42)], ids=["three", "end"])
def test_killed_anywhere_and_resumed_it_ends_bit_for_bit_the_same(tmp_path, poisoned, steps, moments, most):
    whole = trainer(folder(tmp_path / "whole"), steps=steps, poisoned=poisoned, most=most)
    whole.fit()
    expected = everything(whole)
    killed = 0
    for number, moment in enumerate(moments):
        run = folder(tmp_path / str(number))
        try:
            trainer(run, steps=steps, poisoned=poisoned, most=most, kill=Kill(**moment)).fit()
        except KilledError:
            killed += 1
        resumed = trainer(run, steps=steps, poisoned=poisoned, most=most)
        resumed.fit()
        assert same(everything(resumed), expected), moment
        assert kinds(run) == kinds(RunDirectory(tmp_path / "whole")), moment
    assert killed > 0.5 * len(moments)


def test_a_spike_is_caught_and_noise_is_not(tmp_path):
    run = folder(tmp_path / "run")
    trained = trainer(run, steps=60, poisoned={(37, 8): 300.0, (50, 9): 1.5})
    trained.fit()
    (line,) = run.read_lines("decisions.jsonl")
    assert "the loss jumped" in line["message"] and 40 <= line["step"] < 45


def test_weights_that_are_no_numbers_are_never_written_nor_begun_with(tmp_path):
    run = folder(tmp_path / "run")
    bad = trainer(run)
    with torch.no_grad():
        bad.model[0].weight.fill_(NAN)
    with pytest.raises(TrainingDivergedError, match="before the first step"):
        bad.fit()

    class Spoil(Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            if trainer.pace.step in (8, 26) and len(trainer.decisions.returns) < trainer.pace.step // 8:
                trainer.parameters[0].data[0] = NAN

    spoiled = trainer(run)
    spoiled.callbacks = [Spoil(), *spoiled.callbacks]
    spoiled.fit()
    assert [line["to"] for line in run.read_lines("decisions.jsonl")] == [4, 24, 24]
    assert spoiled.sound() and spoiled.pace.step == 26
    assert all(value.isfinite().all() for value in load_newest(run).tensors.values())


def test_out_of_memory_halves_what_is_taken_at_once_and_learns_the_same(tmp_path):
    run, plain = folder(tmp_path / "run"), folder(tmp_path / "plain")
    short, pieces = trainer(run, most=6), trainer(plain, micro_batch=5)
    short.fit()
    pieces.fit()
    assert [line["micro_batch"] for line in run.read_lines("decisions.jsonl")] == [10, 5]
    assert same(everything(short), everything(pieces))
    resumed = trainer(run)
    assert resumed.micro_batch == 5


def test_an_example_that_does_not_fit_by_itself_says_what_to_do(tmp_path):
    class Huge(Line):
        def step(self, model, batch):
            raise MemoryError

    trained = trainer(folder(tmp_path / "run"))
    trained.task = Huge()
    with pytest.raises(OutOfMemoryError, match="--size small"):
        trained.fit()


def test_pieces_are_about_equal_so_that_none_is_too_small_for_batch_statistics(tmp_path):
    trained = trainer(folder(tmp_path / "run"), micro_batch=19)
    assert [len(batch) for batch in trained.micro_batches(0)] == [10, 10]


class Coupled(Line):
    couples_examples = True


def test_where_examples_are_coupled_smaller_pieces_are_told(tmp_path):
    heard, trained = [], trainer(folder(tmp_path / "run"), steps=1)
    trained.task = Coupled(most=10)
    with events.listening(heard.append):
        trained.fit()
    assert any("depend on one another" in event.get("message", "") for event in heard)


HUNGRY = """
import resource, sys, torch
from torch import nn
from engram.train.plan import Plan
from engram.train.trainer import Trainer
from test_rollback import Line, Numbers

class Wide(nn.Module):  # 4 MB an example, and as much again for each gradient
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return (x * self.scale).repeat(1, 1_000_000).sin().mean(1, keepdim=True)

trainer = Trainer(Line(), Wide(), Numbers(), Plan(batch_size=32, micro_batch=32, steps=2))
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (200 << 20),) * 2)
trainer.fit()
print(trainer.pace.step, trainer.micro_batch)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")
def test_memory_that_really_runs_out():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    found = subprocess.run([sys.executable, "-c", HUNGRY], env=environment, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    step, micro_batch = map(int, found.stdout.split())
    assert step == 2 and 1 <= micro_batch <= 16
