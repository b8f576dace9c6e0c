import shutil

import pytest
import torch
from torch import nn

from engram.core.rundir import RunDirectory
from engram.train.checkpoint import Checkpoint, load_newest, pack_optimizer, save, unpack_optimizer


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run").create()


def checkpoint(step):
    return Checkpoint(step=step, tensors={"model/w": torch.full((3,), float(step))}, facts={"steps": 9})


def test_the_newest_whole_checkpoint_is_loaded_and_older_ones_are_gone(run):
    save(run, checkpoint(1))
    save(run, checkpoint(2))
    loaded = load_newest(run)
    assert (
        loaded.step == 2
        and loaded.facts == {"steps": 9}
        and torch.equal(loaded.tensors["model/w"], torch.full((3,), 2.0))
    )
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-2"]


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_never_believed(run, name, damage):
    good = save(run, checkpoint(1))
    newer = shutil.copytree(good, good.with_name("step-5"))
    bad = newer / name
    content = bytearray(bad.read_bytes())
    if damage == "remove":
        bad.unlink()
    elif damage == "cut":
        bad.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        bad.write_bytes(content)
    assert load_newest(run).tensors["model/w"][0] == 1.0


def test_unfinished_checkpoints_are_ignored(run):
    (run / "checkpoints" / "step-7.tmp").mkdir(parents=True)
    assert load_newest(run) is None


def test_an_optimizer_goes_on_exactly_where_it_was():
    def build():
        torch.manual_seed(0)
        layer = nn.Linear(3, 3)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer, optimizer):
        layer(torch.ones(2, 3)).square().sum().backward()
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
