import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engram.optim.average import Average, reestimate_batchnorm
from engram.optim.build import Optimization, grouped, optimizers
from engram.optim.muon import Muon, newton_schulz
from engram.optim.schedule import Pace, learning_rate_factor


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(newton_schulz(torch.randn(1, *shape), steps=6)[0].float())
    assert values.min() > 0.5 and values.max() < 1.3


def test_muon_finds_a_linear_map_and_keeps_rotating_weights_at_their_length():
    torch.manual_seed(0)
    truth = torch.linalg.qr(torch.randn(12, 12))[0]
    layer = nn.Linear(12, 12, bias=False)
    muon = Muon(layer.parameters(), lr=0.05, rotate=True)
    for _ in range(300):
        x = torch.randn(64, 12)
        ((layer(x) - x @ truth.T) ** 2).mean().backward()
        muon.step()
        muon.zero_grad()
    assert layer.weight.norm().item() == pytest.approx(12**0.5, rel=0.2)
    cosine = (layer.weight * truth).sum() / layer.weight.norm() / truth.norm()
    assert cosine > 0.95


def test_every_trainable_parameter_has_exactly_one_optimizer():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 2))
    model[1].bias.requires_grad_(False)
    groups = grouped(model)
    assert groups["head"] == [model[4].weight]
    assert {id(p) for p in groups["matrices"]} == {id(model[1].weight), id(model[3].weight)}
    for numbers in (Optimization(), Optimization(muon_learning_rate=0.0)):
        held = [id(p) for o in optimizers(model, numbers) for g in o.param_groups for p in g["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.floats(0, 0.3))
def test_the_learning_rate_ends_at_zero_whatever_becomes_of_the_plan(changes, warmup):
    pace = Pace(steps=changes[0])
    for change in changes:
        pace.steps = max(pace.step + 1, change)
        before = pace.progress
        pace.advance()
        assert before <= pace.progress <= 1 + 1e-9
    while not pace.finished:
        pace.advance()
    assert pace.progress == pytest.approx(1.0)
    assert learning_rate_factor(pace.progress, warmup=warmup) == pytest.approx(0.0)


def test_batchnorm_statistics_are_the_plain_means_of_what_was_seen():
    module = nn.Sequential(nn.BatchNorm1d(3))
    batches = [torch.randn(50, 3) * 2 + 5 for _ in range(4)]
    reestimate_batchnorm(module, module, batches)
    assert torch.allclose(module[0].running_mean, torch.cat(batches).mean(0), atol=1e-5)
    assert module[0].momentum == 0.1


def test_the_average_of_weights_follows_them():
    layer = nn.Linear(2, 2)
    average = Average(layer)
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.add_(1.0)
    average.update(layer, decay=0.75)
    average.copy_to(layer)
    assert torch.allclose(layer.weight, start + 0.25, atol=1e-6)
