import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from engram.core import events
from engram.core.errors import Stopped
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Step, Task
from engram.data.examples import Examples
from engram.data.order import permutation, positions
from engram.optim.build import Optimization
from engram.train.callbacks.callback import Callback
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.pacing import Pacing
from engram.train.checkpoint import load_newest
from engram.train.decisions import Decisions
from engram.train.plan import Plan
from engram.train.trainer import Trainer


class Line(Task):
    """y = 3x, with a bit of dropout so that randomness within a step counts."""

    def step(self, model, batch):
        return Step(((model(batch.x) - 3 * batch.x) ** 2).sum(), weight=len(batch))


class Numbers(Examples):
    """Row r is the number r / 100."""

    def __init__(self):
        super().__init__({}, {}, {"train": np.arange(100)})

    def batch(self, rows, *, augmentation=None, seed=0, epoch=0):
        return Batch(rows=rows, x=torch.tensor(rows / 100).float()[:, None])


def trainer(*, steps=12, micro_batch=20, callbacks=(), decisions=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 16), nn.Dropout(0.1), nn.Linear(16, 16), nn.Linear(16, 1))
    plan = Plan(batch_size=20, micro_batch=micro_batch, steps=steps, optimizer=Optimization(average_decay=0.9))
    return Trainer(
        task=Line(), model=model, examples=Numbers(), plan=plan, callbacks=callbacks, decisions=decisions or Decisions()
    )


def folder(tmp_path, name="run"):
    run = RunDirectory(tmp_path / name)
    run.path.mkdir(exist_ok=True)
    return run


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


class StopAt(Callback):
    def __init__(self, step, number):
        self.step, self.number = step, number

    def after_step(self, trainer, *, loss, learning_rate):
        if trainer.pace.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, number, code):
    whole = trainer()
    whole.fit()
    run = folder(tmp_path)
    saving = Checkpointing(run)
    stopped = trainer(callbacks=[StopAt(5, number), saving])
    with saving.catching_signals(), pytest.raises(Stopped, match="--resume") as caught:
        stopped.fit()
    assert caught.value.exit_code == code
    resumed = trainer()
    resumed.restore(load_newest(run))
    assert resumed.pace.step in (5, 6)
    resumed.fit()
    assert torch.equal(weights(resumed), weights(whole))


def test_accumulation_equals_the_full_batch():
    whole, pieces = trainer(steps=1), trainer(steps=1, micro_batch=7)
    for one in (whole, pieces):
        one.model[1].p = 0.0
        one.fit()
    assert torch.allclose(weights(whole), weights(pieces), atol=1e-6)


def test_the_pace_is_kept_and_replayed(tmp_path):
    clock = iter(np.linspace(0.5, 0.0, 400))
    run, other = folder(tmp_path), folder(tmp_path, "other")
    first = trainer(
        steps=10**6, callbacks=[Pacing(lambda: float(next(clock)), most=300)], decisions=Decisions.open(run)
    )
    first.fit()
    assert first.pace.step <= 300 and first.pace.progress == pytest.approx(1.0)
    (other / "decisions.jsonl").write_text((run / "decisions.jsonl").read_text())
    pacing = Pacing(lambda: 1000.0, most=first.pace.step)
    again = trainer(steps=10**6, callbacks=[pacing], decisions=Decisions.open(other))
    again.fit()
    assert again.pace.step == first.pace.step
    assert torch.equal(weights(first), weights(again))


def test_every_example_is_seen_once_an_epoch():
    seen = np.concatenate([positions(step, batch_size=7, count=20, seed=3)[0] for step in range(20)])
    for epoch in range(7):
        assert sorted(seen[epoch * 20 : (epoch + 1) * 20]) == list(range(20))
    assert not np.array_equal(permutation(20, 3, 0), permutation(20, 3, 1))


def test_callbacks_hear_each_step():
    heard = []

    class Ear(Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            heard.append((trainer.pace.step, learning_rate))

    with events.listening():
        trainer(callbacks=[Ear()]).fit()
    assert [step for step, _ in heard] == list(range(1, 13))
    assert heard[-1][1] < heard[0][1] or heard[0][1] == 0.0


def test_pictures_are_smaller_at_first_and_steps_are_timed_anew_from_then_on():
    class Pictures(Numbers):
        def batch(self, rows, *, augmentation=None, seed=0, epoch=0):
            return Batch(rows=rows, x=torch.ones(len(rows), 1, 20, 10))

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.seen = nn.Parameter(torch.ones(1)), []

        def forward(self, x):
            self.seen.append(tuple(x.shape[2:]))
            return self.scale * x.mean((2, 3))

    class Known(Task):
        def step(self, model, batch):
            return Step(model(batch.x).square().sum(), weight=len(batch))

    moments = []

    class Watch(Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            moments.append(len(pacing.moments))

    model, pacing = Mean(), Pacing(lambda: 1e6, most=12)
    plan = Plan(batch_size=20, micro_batch=20, steps=12, coarse_until=0.45)
    Trainer(Known(), model, Pictures(), plan, callbacks=[pacing, Watch()]).fit()
    assert model.seen == [(14, 7)] * 6 + [(20, 10)] * 6
    assert moments == [0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6]
