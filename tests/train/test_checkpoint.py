import pytest
import torch
from torch import nn

from engram.core import events
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.train.checkpoint import Checkpoint, load_newest, pack_optimizer, save, unpack_optimizer


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run").create()


def checkpoint(step):
    return Checkpoint(step=step, tensors={"model/w": torch.full((3,), float(step))}, facts={"steps": 9})


def names(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_the_newest_of_two_is_loaded_and_older_ones_are_gone(run):
    for step in (1, 9, 10):
        save(run, checkpoint(step))
    loaded = load_newest(run)
    assert loaded.step == 10 and loaded.facts == {"steps": 9}
    assert torch.equal(loaded.tensors["model/w"], torch.full((3,), 10.0))
    assert names(run) == ["step-10", "step-9"]


def test_a_checkpoint_replaces_another_of_its_step(run):
    save(run, checkpoint(1))
    save(run, Checkpoint(1, {"model/w": torch.zeros(3)}, {}))
    assert load_newest(run).tensors["model/w"][0] == 0.0 and names(run) == ["step-1"]


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "remove", "another step's"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(run, name, damage):
    older, newer = save(run, checkpoint(1)), save(run, checkpoint(5))
    content = (newer / name).read_bytes()
    if damage == "remove":
        (newer / name).unlink()
    else:
        other = (older / name).read_bytes() if name != "state.json" else b"{}"
        (newer / name).write_bytes(content[: len(content) // 2] if damage == "cut" else other)
    heard = []
    with events.listening(heard.append):
        assert load_newest(run).tensors["model/w"][0] == 1.0
    assert [e["event"] for e in heard] == ["warning"] and f"{newer} is damaged" in heard[0]["message"]
    save(run, checkpoint(5))
    assert load_newest(run).step == 5 and names(run) == ["step-1", "step-5"]


def test_where_no_checkpoint_is_whole_none_is_made_up(run):
    for step in (1, 2):
        (save(run, checkpoint(step)) / "manifest.json").write_bytes(b"{}")
    for _ in range(2):
        with pytest.raises(RunError, match=r"step-2 is damaged.*step-1 is damaged"):
            load_newest(run)


def test_unfinished_checkpoints_are_ignored(run):
    (run / "checkpoints" / "step-7.tmp").mkdir(parents=True)
    assert load_newest(run) is None


def test_an_optimizer_goes_on_exactly_where_it_was():
    def build():
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer, optimizer):
        layer(torch.arange(54.0).view(2, 3, 3, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    layer, optimizer = build()
    for _ in range(3):
        step(layer, optimizer)
    other, restored = build()
    other.load_state_dict(layer.state_dict())
    unpack_optimizer(restored, "optimizer-0", pack_optimizer(optimizer, "optimizer-0"))
    step(layer, optimizer)
    step(other, restored)
    assert torch.equal(layer.weight, other.weight)
