"""Layers as used, receptive fields as measured, gradients that are the network's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import report_run
import torch
from torch import nn
from torch.nn import functional as F

from engram.explain import example, units
from engram.explain import kept as keeping
from engram.explain.network import blocks, layers, num_parameters
from engram.predict.predictor import Predictor, load


class Residual(nn.Module):
    """Functions without modules, a layer used twice, an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1, stride=2)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.first(x))
        x = x + F.gelu(self.norm(self.again(x)))
        x = F.max_pool2d(self.again(x), 2)
        return self.head(x.mean((2, 3)))


def test_layers_are_found_in_the_order_of_use() -> None:
    network = Residual().eval()
    found = layers(network, lambda: network(torch.zeros(2, 1, 16, 16)))
    assert [layer.kind for layer in found] == [
        "3×3 convolution, step 2", "relu", "3×3 convolution", "BatchNorm2d", "gelu", "sum with what came in",
        "3×3 convolution", "maximum pooling", "mean over positions", "linear layer",
    ]  # fmt: skip
    assert sum(layer.parameters for layer in found) == num_parameters(network)[0]
    assert found[-1].shape == (3,) and found[1].shape == (4, 8, 8)
    assert not network.first._forward_hooks and not network.first._forward_pre_hooks


def test_blocks_begin_with_weights() -> None:
    network = Residual().eval()
    chain = blocks(layers(network, lambda: network(torch.zeros(1, 1, 16, 16))))
    assert [block.activation for block in chain] == ["relu", "gelu", "", ""]
    assert [block.shape for block in chain] == [(4, 8, 8), (4, 8, 8), (4,), (3,)]
    assert chain[2].parameters == 0  # counted where the layer was used first


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load(report_run.make(tmp_path_factory.mktemp("explain") / "run", names=["up", "left", "down", "right"]))


@pytest.fixture(scope="module")
def kept(predictor: Predictor) -> keeping.Kept:
    found = keeping.read(predictor.run)
    assert found is not None
    return found


def test_kept_pictures_are_found_by_row(kept: keeping.Kept) -> None:
    assert kept.place(int(kept.rows[3])) == 3 and kept.place(-1) is None


def test_stages_see_more_and_more(predictor: Predictor, kept: keeping.Kept) -> None:
    found = units.stages(predictor, kept.pictures, units=3, patches=5)
    # 2×2, then 3×3 on a step of 1; pooled (2), then 3×3 on a step of 2.
    assert [stage.field for stage in found] == [(4, 4), (9, 9)]
    assert [stage.shape[1:] for stage in found] == [(15, 15), (7, 7)]
    for stage in found:
        assert stage.num_pictures == len(kept) and len(stage.units) == 3
        for unit in stage.units:
            values = [patch.value for patch in unit.patches]
            assert values == sorted(values, reverse=True) and len(values) == 5
            for patch in unit.patches:
                assert 0 <= patch.top < patch.bottom <= 16 and 0 <= patch.left < patch.right <= 16


def test_a_patch_is_what_excites_its_unit(predictor: Predictor, kept: keeping.Kept) -> None:
    """Outside its box the picture may change without changing the unit's answer there."""
    stage = units.stages(predictor, kept.pictures, units=1, patches=1)[0]
    patch = stage.units[0].patches[0]
    changed = np.full_like(kept.pictures[patch.picture], 90)
    box = np.s_[patch.top : patch.bottom, patch.left : patch.right]
    changed[box] = kept.pictures[patch.picture][box]
    again = units.stages(predictor, changed[None], units=8, patches=1)[0]
    best = {unit.number: unit.patches[0].value for unit in again.units}
    if stage.units[0].number in best:
        assert best[stage.units[0].number] >= patch.value - 1e-3


def test_little_time_means_fewer_pictures(predictor: Predictor, kept: keeping.Kept) -> None:
    many = np.concatenate([kept.pictures] * 5)
    assert units.stages(predictor, many, seconds=0.0)[0].num_pictures == units.BATCH


def test_the_walk_ends_in_the_predictors_own_answer(predictor: Predictor, kept: keeping.Kept) -> None:
    found = example.walk(predictor, kept.pictures[0], [2])
    assert found is not None
    answer = predictor.predict(kept.pictures[0])
    names = predictor.by_role.label.names
    assert names[int(found.probabilities.argmax())] == answer["label"]
    assert found.probabilities.max() == pytest.approx(answer["probability"], abs=1e-3)
    assert found.loss == pytest.approx(-np.log(found.probabilities[2]), rel=1e-4)
    assert found.saliency.shape == (16, 16) and found.saliency.max() == pytest.approx(1)
    assert [passed.shape for passed in found.passed][-1] == (4,)


def test_the_walk_leaves_no_trace(predictor: Predictor, kept: keeping.Kept) -> None:
    example.walk(predictor, kept.pictures[0], [0])
    network = predictor.module.network
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules() if not isinstance(module, nn.Linear))


def test_pushes_are_the_gradients_of_the_loss(predictor: Predictor, kept: keeping.Kept) -> None:
    found = example.walk(predictor, kept.pictures[0], [1])
    assert found is not None
    module = predictor.module
    loss = F.cross_entropy(module(predictor.encode([kept.pictures[0]]).image), torch.tensor([1]))
    (gradient,) = torch.autograd.grad(loss, [module.network.head.weight])
    pushed = {push.name: push for push in found.pushed}
    assert pushed["head"].gradient == pytest.approx(float(gradient.norm()), rel=1e-4)
    assert "whitening" in pushed  # its bias is learned


def test_no_pictures_kept(tmp_path: Path, predictor: Predictor) -> None:
    from engram.core.rundir import RunDirectory

    assert keeping.read(RunDirectory(tmp_path)) is None
