"""Whoever brings a network, a data set and a step of their own gets the whole engine under it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import own_data
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

import engram
from engram.core import events
from engram.core.errors import ConfigError, DataError, RunError, Stopped
from engram.data.order import positions

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_pytorch.py"


def train(tmp_path, dataset=None, *, name="run", step=own_data.step, **options):
    """Train without a report, where none is asked for."""
    dataset = own_data.Points() if dataset is None else dataset
    options = {"model": own_data.Net(), "steps": 12, "device": "cpu", "report": False, **options}
    return engram.train(dataset, step=step, out=tmp_path / name, **options)


def same(run_a, run_b):
    a, b = (load_file(run / "model.safetensors") for run in (run_a, run_b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def seeded():
    """Networks that begin with the same weights."""
    torch.manual_seed(0)


def test_the_example_runs_as_it_stands(tmp_path):
    done = subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Checked on one real batch" in done.stderr and "Warning" not in done.stderr
    html = (tmp_path / "runs" / "run" / "report.html").read_text()
    assert "linear layers" in html and "Where it errs" not in html and "One example, there and back" not in html


def test_a_loss_alone_is_enough_and_selects_the_best_weights(tmp_path):
    trained = train(tmp_path, step=own_data.loss, report=True)
    assert list(trained.metrics) == ["loss"] and trained.split == "val" and trained.floors == {}
    found = trained.metrics["loss"]
    assert found["low"] < found["value"] < found["high"]
    network = engram.load(trained.run, model=own_data.Net()).network
    x = torch.randn(5, 2)
    assert not network.training and torch.equal(engram.load(trained.run, model=own_data.Net())(x), network(x))
    with pytest.raises(ConfigError, match="trained by a step of your own"):
        engram.load(trained.run, model=own_data.Net()).predict([x[0]])


def test_metrics_are_functions_and_engrams_own(tmp_path):
    from engram.metrics.accuracy import Accuracy

    def largest(logits, batch):
        return float(logits.max())

    torch.manual_seed(1)
    trained = train(tmp_path, metrics=[own_data.share_right, Accuracy, largest], steps=60, report=True)
    assert list(trained.metrics) == ["share_right", "accuracy", "largest", "loss"]
    right, accuracy = (trained.metrics[name]["value"] for name in ("share_right", "accuracy"))
    assert right == pytest.approx(accuracy) and right > 0.6  # a third by chance
    evaluated = [e for e in map(json.loads, (tmp_path / "run" / "metrics.jsonl").open()) if e["event"] == "evaluated"]
    assert {name for event in evaluated for name in event["metrics"]} == {"share_right"}  # it says what is better


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (lambda output, batch: 1.0, "with a name"),
        ("accuracy", "with a name"),
        (own_data.loss, r"a name each; got loss, loss"),
    ],
)
def test_metrics_that_are_none_are_refused(tmp_path, metric, said):
    with pytest.raises(ConfigError, match=said):
        train(tmp_path, metrics=[metric])


def test_metrics_without_an_output_are_told_what_lacks(tmp_path):
    with pytest.raises(ConfigError, match=r"share_right reads; got the loss alone\. Return engram\.Step"):
        train(tmp_path, step=own_data.loss, metrics=[own_data.share_right])


def test_every_epoch_asks_anew_in_the_engines_order(tmp_path):
    dataset, seen = own_data.Points(), []

    def step(model, batch):
        seen.append(batch)
        return own_data.loss(model, batch)

    class Forget(engram.Callback):
        def begin(self, trainer):
            dataset.asked.clear()
            self.train = trainer.examples.splits["train"]

        def end(self, trainer):
            self.asked = list(dataset.asked)

    listener = Forget()
    settings = {"batch_size": 27, "evaluate_every": 1}
    train(tmp_path, dataset, step=step, steps=8, callbacks=[listener], settings=settings)
    assert len(listener.train) == 108
    rows = [listener.train[positions(k, batch_size=27, count=108, seed=0)[0]] for k in range(8)]
    assert listener.asked[: 8 * 27] == np.concatenate(rows).tolist()
    assert set(Counter(listener.asked[: 8 * 27]).values()) == {2}
    assert isinstance(seen[0], list) and seen[0][0].dtype == torch.float32 and seen[0][1].dtype == torch.int64


def test_declared_deterministic_examples_are_made_once(tmp_path):
    dataset = own_data.Points()
    train(tmp_path, dataset, deterministic=True, settings={"batch_size": 27})
    assert max(Counter(dataset.asked).values()) <= 4  # beside once: by which they are recognised, and their size


def test_examples_arrive_unchanged_whatever_they_are_made_of(tmp_path):
    class Sequences(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, row):
            return {"words": torch.arange(1 + row % 5), "more": (f"row {row}", [float(row), torch.zeros(2, 3)])}

    def padded(examples):
        words = nn.utils.rnn.pad_sequence([e["words"] for e in examples], batch_first=True)
        return {"words": words, "names": [e["more"][0] for e in examples], "raw": examples}

    seen = []

    def step(model, batch):
        seen.append(batch)
        return (model(batch["words"].float().sum(1, keepdim=True)) - 1).square().mean()

    train(tmp_path, Sequences(), step=step, model=nn.Linear(1, 1), collate=padded, steps=2)
    batch = seen[0]
    assert set(batch) == {"words", "names", "raw"} and batch["names"][0].startswith("row")
    assert isinstance(batch["raw"][0]["more"], tuple) and isinstance(batch["raw"][0]["more"][1], list)
    with pytest.raises(DataError, match=r"put together to a batch.*collate=FUNCTION"):
        train(tmp_path, Sequences(), step=step, model=nn.Linear(1, 1), name="ragged")


@pytest.mark.parametrize("moment", [1, 7])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, moment, seeded):
    begun = own_data.Net().state_dict()

    def fresh():
        network = own_data.Net()
        network.load_state_dict(begun)
        return network

    class StopAt(engram.Callback):
        def after_step(self, trainer, *, loss, learning_rate):
            if trainer.pace.step == moment:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGINT)

    settings = {"optimizer.average_decay": 0.9, "batch_size": 27}
    train(tmp_path, model=fresh(), name="whole", settings=settings)
    with pytest.raises(Stopped, match="--resume"):
        train(tmp_path, model=fresh(), name="cut", settings=settings, callbacks=[StopAt()])
    with pytest.raises(RunError, match="Hand over again"):
        engram.train(resume=tmp_path / "cut")
    with pytest.raises(RunError, match="step of your own, which a run does not keep"):
        engram.train(own_data.Points(), model=own_data.Net(), resume=tmp_path / "cut")
    with pytest.raises(RunError, match="has changed"):
        engram.train(own_data.Points(121), model=own_data.Net(), step=own_data.step, resume=tmp_path / "cut")
    engram.train(own_data.Points(), model=own_data.Net(), step=own_data.step, resume=tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_arrays_too_are_handed_over_again(tmp_path):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    data = (pictures, ["ab"[n % 2] for n in range(60)])

    class Stop(engram.Callback):
        def end(self, trainer):
            raise KeyboardInterrupt

    with pytest.raises(Stopped):
        engram.train(data, steps=2, out=tmp_path / "run", callbacks=[Stop()])
    with pytest.raises(RunError, match="Hand over again"):
        engram.train(resume=tmp_path / "run")
    assert engram.train(data, resume=tmp_path / "run").metrics


class Stream(IterableDataset):
    def __iter__(self):
        yield from range(3)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (Stream(), r"map-style Dataset.*got Stream\. An iterable one.*list\(dataset\)"),
        (DataLoader(own_data.Points()), r"got a DataLoader\. Hand over its \.dataset"),
        ([], "expected examples"),
    ],
)
def test_data_sets_without_an_order_are_refused(tmp_path, dataset, said):
    with pytest.raises((ConfigError, DataError), match=said):
        train(tmp_path, dataset)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": None}, "expected a network beside a step"),
        ({"target": "kind"}, "expected no target beside a step"),
        ({"validation": 1.5}, "or a share between 0 and 1"),
        ({"step": None, "metrics": [own_data.share_right]}, "expected metrics beside a step of your own; got no step"),
        ({"step": lambda model, batch: 3.0}, r"expected of the step a loss.*got float"),
        ({"step": lambda model, batch: model(batch[0])}, r"one loss for the batch; got shape \(\d+, 3\)"),
        ({"step": lambda model, batch: model(batch[0]).detach().sum()}, "gradients|does not require grad"),
        ({"step": lambda model, batch: model(batch[0]).sum() * float("nan")}, "finite loss"),
        ({"model": nn.Linear(7, 3)}, r"Linear\(in_features=7, out_features=3, bias=True\), received \(\d+, 2\)"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:20],
)
def test_what_does_not_go_together_is_told(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        train(tmp_path, **options)


def test_validation_may_be_a_data_set_of_its_own(tmp_path):
    train(tmp_path, validation=own_data.Points(30, noise=0))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["rows"] == {"train": 120, "val": 30}


def test_luck_that_cannot_be_seeded_is_warned_of(tmp_path):
    class Unruly(own_data.Points):
        luck = np.random.default_rng()

        def __getitem__(self, row):
            return super().__getitem__(row)[0] + float(self.luck.normal()), row % 3

    heard = []
    with events.listening(heard.append):
        train(tmp_path, Unruly(), steps=2)
    assert any("differ each time" in event.get("message", "") for event in heard if event["event"] == "warning")


def test_the_plain_recipe_is_the_loop_written_by_hand(tmp_path, seeded):
    by_hand = own_data.Net(dropout=0.0)
    network = own_data.Net(dropout=0.0)
    network.load_state_dict(by_hand.state_dict())
    x = torch.randn(100, 2)
    dataset = [(point, int(point[0] > 0)) for point in x]
    settings = {"batch_size": 30, "optimizer.learning_rate": 3e-3, "evaluate_every": 1}
    train(tmp_path, dataset, step=own_data.loss, model=network, recipe="plain", settings=settings, validation=dataset)

    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=3e-3)
    for number in range(12):
        rows, _ = positions(number, batch_size=30, count=100, seed=0)
        loss = own_data.loss(by_hand, (x[rows], torch.tensor([dataset[row][1] for row in rows])))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = load_file(tmp_path / "run" / "model.safetensors")
    for name, value in by_hand.state_dict().items():
        torch.testing.assert_close(learned[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["lambda", "instance of a library", "typed in by hand"])
def test_a_network_without_a_source_is_used_again_by_handing_it_over(tmp_path, kind):
    typed = {"nn": nn, "__name__": "__main__"}
    exec("class Typed(nn.Linear):\n    def __init__(self): super().__init__(2, 3)", typed)
    model = {
        "lambda": lambda: nn.Linear(2, 3),
        "instance of a library": nn.Sequential(nn.Linear(2, 3)),
        "typed in by hand": typed["Typed"],
    }[kind]
    trained = train(tmp_path, model=model, steps=2)
    assert not (tmp_path / "run" / "source").exists()
    with pytest.raises(RunError, match="Hand it over again"):
        engram.load(trained.run, trust_source=True)
    network = engram.load(trained.run, model=model).network
    for name, value in load_file(tmp_path / "run" / "model.safetensors").items():
        assert torch.equal(network.state_dict()[name], value)


def test_a_network_of_a_script_is_kept_and_opens_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, torch, engram\nfrom torch import nn\n"
        "class Net(nn.Linear):\n    def __init__(self): super().__init__(2, 1)\n"
        "if __name__ == '__main__':\n"
        "    data = [(torch.randn(2), torch.randn(1)) for _ in range(20)]\n"
        "    engram.train(data, model=Net, step=lambda m, b: (m(b[0]) - b[1]).square().mean(), steps=2, out='run')\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "source" / "script.py").is_file()
    assert engram.load(tmp_path / "run", trust_source=True).network.in_features == 2


def test_layers_that_take_their_width_from_the_first_batch(tmp_path):
    def lazy():
        return nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(3))

    trained = train(tmp_path, model=lazy(), steps=3)
    assert engram.load(trained.run, model=lazy()).network(torch.zeros(1, 2)).shape == (1, 3)
