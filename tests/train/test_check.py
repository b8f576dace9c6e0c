"""The first minute sees what it is for, and is silent where all is well."""

from __future__ import annotations

import numpy as np
import own_data
import pytest
import torch
from torch import nn

import engram
from engram.core import events
from engram.core.errors import ConfigError
from engram.train import precision


class Rows(torch.utils.data.Dataset):
    """64 rows of eight numbers, and which of four is largest among the first four."""

    def __init__(self, number: int = 64) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(number, 8, generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[row], self.x[row, :4].argmax()


class Sound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.other(self.one(x).relu())


class Unused(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(3, 3)


class Normalised(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(32)

    def forward(self, x):
        return self.other(self.norm(self.one(x)).relu())


class Mixed(Sound):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class MixedInTraining(Sound):
    def forward(self, x):
        return super().forward(x - x.mean(0) if self.training else x)


class Loud(Sound):
    def forward(self, x):
        return super().forward(x) * 200


class Fixed(Sound):
    def forward(self, x):
        return super().forward(x * 0)


def mean(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def summed(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


def unrelated(model, batch):
    return nn.functional.cross_entropy(model(torch.randn_like(batch[0])) * 1e-3, batch[1])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def checked(model, step=mean, **options):
    return engram.check(model, Rows(), step=step, device="cpu", **options)


@pytest.mark.parametrize("model", [Sound, Normalised])
def test_a_sound_network_passes_in_one_line(model):
    found = checked(model())
    assert found.ok and "\n" not in str(found)
    for words in ("gradients reach every parameter", "ln 4", "it can learn 16 examples"):
        assert words in str(found)
    assert ("BatchNorm1d alone, in training only" in str(found)) == (model is Normalised)


@pytest.mark.parametrize(
    ("model", "step", "name", "said"),
    [
        (Unused, mean, "gradients", r"none reaches spare\.weight, spare\.bias"),
        (Sound, summed, "accumulation", r"return engram\.Step\(loss_sum, weight, output\)"),
        (Mixed, mean, "independence", "in evaluation mode"),
        (MixedInTraining, mean, "independence", "in training, those of others"),
        (Loud, mean, "start", r"near ln 4 = 1\.39.*received \d"),
        (Fixed, unrelated, "overfitting", r"16 examples in 40 steps"),
    ],
)
def test_what_is_wrong_is_named(model, step, name, said):
    found = checked(model(), step)
    assert not found.ok and found[name].verdict == "warning"
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found[name].message)
    assert found[name].message in str(found)


def test_the_network_and_all_luck_stay_as_they_were():
    network = Normalised()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    checked(network)
    assert torch.equal(state, torch.get_rng_state()) and network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_slow_network_is_told_what_was_left_out():
    found = checked(Sound(), seconds=0.0)
    assert found.ok and "Not checked: start (a step of this network takes too long for it)" in str(found)


def test_what_was_found_is_told_and_recorded(tmp_path):
    heard = []
    with events.listening(heard.append):
        engram.train(Rows(), model=Unused(), step=mean, steps=2, out=tmp_path / "run", device="cpu")
    assert any("none reaches spare" in event["message"] for event in heard if event["event"] == "warning")
    kept = {
        one["name"]: one["verdict"] for one in engram.core.rundir.RunDirectory(tmp_path / "run").read_run()["checks"]
    }
    assert kept["gradients"] == "warning" and kept["accumulation"] == "ok"


class Viewing(nn.Module):
    """Takes nothing but pictures that lie plainly in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 2)

    def forward(self, x):
        return self.head(self.convolution(x).view(len(x), -1))


class Factoring(Viewing):
    """Leaves for numpy, which has no bfloat16."""

    def forward(self, x):
        y = self.head(self.convolution(x).flatten(1))
        return y + 0 * float(y.detach().numpy().sum())


class Both(Factoring):
    def forward(self, x):
        self.convolution(x).view(len(x), -1)
        return super().forward(x)


@pytest.mark.parametrize(
    ("model", "off"),
    [
        (Viewing, {"channels_last": False}),
        (Factoring, {"precision": "float32"}),
        (Both, {"channels_last": False, "precision": "float32"}),
    ],
)
def test_layout_and_precision_that_a_network_cannot_take_are_turned_off(tmp_path, monkeypatch, model, off):
    monkeypatch.setattr(precision, "choose_precision", lambda device: ("bfloat16", "wanted by the test"))
    data = [(torch.randn(3, 8, 8), n % 2) for n in range(40)]
    heard = []
    with events.listening(heard.append):
        engram.train(data, model=model(), step=mean, steps=2, out=tmp_path / "run", device="cpu")
    plan = next(event["plan"] for event in heard if event["event"] == "plan")
    said = " ".join(event.get("message", "") for event in heard)
    for name in ("channels_last", "precision"):
        assert (name in off) == (f"{name} is {off.get(name)}: your network cannot take" in said)
        assert name not in off or plan[name]["value"] == off[name]
    with pytest.raises(ConfigError, match="failed"):
        engram.train(
            data, model=model(), step=mean, steps=2, out=tmp_path / "asked", device="cpu",
            settings={name: {"channels_last": True, "precision": "bfloat16"}[name] for name in off},
        )  # fmt: skip


def test_a_network_is_checked_for_engrams_tasks_too():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    found = engram.check(
        lambda num_classes: nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)),
        (pictures, ["ab"[n % 2] for n in range(60)]),
        device="cpu",
    )
    assert found["start"].verdict == "ok" and found["gradients"].verdict == "ok"


def test_a_step_that_fails_says_where_and_with_what():
    with pytest.raises(ConfigError, match=r"other, Linear\(in_features=9, .*received \(32, 32\)"):
        network = Sound()
        network.other = nn.Linear(9, 4)
        checked(network)
    with pytest.raises(ConfigError, match="IndexError"):
        checked(Sound(), lambda model, batch: model(batch[0]).sum() + batch[7])


def test_points_are_fine():
    assert engram.check(own_data.Net(), own_data.Points(), step=own_data.step, device="cpu").ok
