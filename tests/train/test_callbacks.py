"""Callbacks of one's own stand beside the engine's: they see every step, are saved, and are named where they fail."""

from __future__ import annotations

import json

import own_data
import pytest
import torch

import engram
from engram.train.checkpoint import load_newest


class Count(engram.Callback):
    """Counts steps, and keeps the count in checkpoints."""

    def __init__(self) -> None:
        self.steps = 0

    def state(self):
        return {"steps": torch.tensor(self.steps)}, {"said": self.steps}

    def load_state(self, tensors, facts):
        assert int(tensors["steps"]) == facts["said"]
        self.steps = facts["said"]

    def after_step(self, trainer, *, loss, learning_rate):
        self.steps += 1
        assert loss > 0 and 0 <= learning_rate <= 1


class Evaluation(Count):
    """Has the name of one of the engine's."""


def train(tmp_path, **options):
    return engram.train(
        own_data.Points(),
        model=own_data.Net(),
        step=own_data.loss,
        out=tmp_path / "run",
        steps=6,
        device="cpu",
        **options,
    )


def test_callbacks_count_and_are_saved_whatever_their_names(tmp_path):
    counting = [Count(), Count(), Evaluation()]
    train(tmp_path, callbacks=counting)
    assert [one.steps for one in counting] == [6, 6, 6]
    facts = load_newest(engram.core.rundir.RunDirectory(tmp_path / "run")).facts
    assert facts["Count"] == facts["Count-2"] == facts["Evaluation-2"] == {"said": 6}


def test_one_that_fails_is_named(tmp_path):
    class Careless(engram.Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            raise KeyError("nothing")

    with pytest.raises(KeyError) as caught:
        train(tmp_path, callbacks=[Careless()])
    assert caught.value.__notes__ == ["This happened in the callback Careless, after_step."]


def test_tensorboard_has_the_figures_of_the_metrics(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, callbacks=[engram.TensorBoard()])
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    told = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    losses = {event["step"]: event["loss"] for event in told if event["event"] == "step"}
    scores = {event["step"]: event["metrics"]["loss"] for event in told if event["event"] == "evaluated"}
    assert {one.step: pytest.approx(one.value) for one in board.Scalars("training/loss")} == losses
    assert {one.step: pytest.approx(one.value) for one in board.Scalars("validation/loss")} == scores
