"""What must survive: shared weights, the start of a training, a late stop signal, a torn line; scores that are none."""

import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from engram.core.errors import Stopped
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.data.examples import Examples
from engram.train.callbacks.callback import Callback
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.evaluation import Evaluation
from engram.train.callbacks.pacing import Pacing
from engram.train.checkpoint import load_newest
from engram.train.decisions import Decisions
from engram.train.measure import measure
from engram.train.plan import Plan
from engram.train.trainer import Trainer
from engram.train.trial import trial


class Squares(Task):
    """Stands for a task: learn to give back x; its score is what `scores` says, evaluation after evaluation."""

    def __init__(self, scores=()):
        self.metrics = (Said(iter(scores)),)

    def step(self, model, batch):
        from engram.core.task import Step

        output = model(batch.x)
        return Step(((output - batch.x) ** 2).sum(), weight=len(batch), output=output)


class Said:
    name, higher_is_better = "said", True

    def __init__(self, scores):
        self.scores = scores

    def update(self, output, batch):
        return {"error": (output - batch.x).square().mean(1).detach().numpy()}

    def compute(self, statistics, weights=None):
        return next(self.scores, 0.0) if weights is None else 0.0


class Numbers(Examples):
    def __init__(self):
        super().__init__({}, {}, {"train": np.arange(40), "val": np.arange(5)})

    def batch(self, rows, *, augmentation=None, seed=0, epoch=0):
        return Batch(rows=rows, x=torch.tensor(rows / 40).float()[:, None].expand(-1, 2))


def made(*, steps=4, callbacks=(), task=None, model=None, decisions=None):
    torch.manual_seed(0)
    plan = Plan(batch_size=8, micro_batch=8, steps=steps)
    decisions = decisions or Decisions()
    return Trainer(
        task or Squares(), model or nn.Linear(2, 2), Numbers(), plan, callbacks=callbacks, decisions=decisions
    )


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run").create()


def weights(trainer):
    return [p.detach().clone() for p in trainer.model.parameters()]


class Kill(Callback):
    """Asks for a stop when all steps are done."""

    def end(self, trainer):
        os.kill(os.getpid(), signal.SIGTERM)


def test_layers_that_share_weights_are_saved_and_restored(run):
    def tied():
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        second.weight = first.weight
        return nn.Sequential(first, second)

    trained = made(model=tied(), callbacks=[Checkpointing(run)])
    trained.fit()
    restored = made(model=tied())
    restored.restore(load_newest(run))
    assert all(torch.equal(a, b) for a, b in zip(weights(trained), weights(restored), strict=True))
    assert restored.model[0].weight is restored.model[1].weight


def test_the_first_checkpoint_is_what_training_began_with(run):
    class Stop(Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            raise KeyboardInterrupt

    trainer = made(callbacks=[Checkpointing(run), Stop()])
    before = weights(trainer)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    again = made(model=nn.Linear(2, 2))
    again.restore(load_newest(run))
    assert again.pace.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, weights(again), strict=True))


def test_a_stop_asked_for_after_the_last_step_is_heard_and_nothing_is_learned_twice(run):
    saving = Checkpointing(run)
    with pytest.raises(Stopped, match="after the last step") as stopped, saving.catching_signals():
        made(callbacks=[saving, Kill()]).fit()
    assert stopped.value.exit_code == 143
    assert load_newest(run).step == 4


def test_a_torn_line_of_decisions_is_left_out_and_not_written_on(run):
    line = {"step": 2, "decision": "steps", "steps": 3}
    for step in (2, 3):
        run.append_line("decisions.jsonl", {**line, "step": step})
    content = (run / "decisions.jsonl").read_bytes()
    (run / "decisions.jsonl").write_bytes(content[:-9])
    trainer = made(steps=9, callbacks=[Pacing(lambda: 100.0, most=3)], decisions=Decisions.open(run))
    trainer.fit()
    assert trainer.pace.step == 3
    assert run.read_lines("decisions.jsonl") == [line]


@pytest.mark.parametrize("scores", [[float("nan")] * 9, [0.1, 0.2, float("nan")], [0.1, 0.1, 0.1, 0.1]])
def test_where_scores_do_not_tell_the_last_weights_are_delivered(scores):
    trainer = made(task=Squares(scores), callbacks=[Evaluation(every=0.25)])
    plain = made()
    trainer.fit()
    plain.fit()
    assert all(torch.equal(a, b) for a, b in zip(weights(trainer), weights(plain), strict=True))


def test_the_best_weights_are_delivered():
    kept = {}

    class Ear(Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            kept[trainer.pace.step] = weights(trainer)

    trainer = made(task=Squares([0.1, 0.9, 0.2, 0.3]), callbacks=[Ear(), Evaluation(every=0.2)])
    trainer.fit()
    assert all(torch.equal(a, b) for a, b in zip(weights(trainer), kept[2], strict=True))


def test_measuring_changes_neither_the_network_nor_the_luck():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    before, state = network[1].weight.clone(), torch.get_rng_state()
    cost = measure(Squares(), network, Numbers(), Plan(batch_size=16, micro_batch=8))
    assert cost.step > 0 and cost.answer > 0
    assert torch.equal(network[1].weight, before) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("scores", "chosen"), [([0.2, 0.9], "second"), ([0.9, 0.2], "first"), ([0.5, 0.5], "first")])
def test_a_trial_keeps_to_the_first_unless_another_is_better(scores, chosen):
    plan = Plan(batch_size=8, micro_batch=4)
    later = iter([*scores, *scores])
    task = Squares()
    task.metrics[0].compute = lambda statistics, weights=None: next(later) if weights is None else 0.0
    name, reason = trial(task, lambda: nn.Linear(2, 2), Numbers(), plan, {"first": None, "second": None}, steps=2)
    assert name == chosen and "trial of 2 steps" in reason
