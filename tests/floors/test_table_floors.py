"""Floors of tables: they learn what they claim, from names and missing numbers too, and load into what they build."""

from types import SimpleNamespace

import pytest
import torch

from engram.floors._trees import mean_of
from engram.floors.boosted_trees import BoostedTrees, Enough
from engram.floors.linear_on_record import MOST_FEATURES, LinearOnRecord, RecordLinear
from engram.floors.mean_value import MeanValue

pytest.importorskip("lightgbm")

RECORD = SimpleNamespace(num_numbers=2, cardinalities=(4, 3))
KINDS = ("softmax", "sigmoid", "number")


def features(kind):
    label = SimpleNamespace(mean=1000.0, spread=50.0) if kind == "number" else SimpleNamespace(size=2)
    return SimpleNamespace(record=RECORD, label=label)


def rows(kind, *, number=600, seed=0):
    """A score that hangs on a number, on whether another one is missing, and on a name: as what `kind` says."""
    generator = torch.Generator().manual_seed(seed)
    size, weight = torch.randn(2, number, generator=generator)
    weight[torch.rand(number, generator=generator) < 0.3] = torch.nan
    one, other = (torch.randint(0, n, (number,), generator=generator) for n in RECORD.cardinalities)
    score = size + 2 * weight.isnan() + torch.tensor([0.0, -2, 1, 2])[one]
    record = torch.stack([size, weight, one.float(), other.float()], 1)
    if kind == "number":
        return record, 1000 + 50 * score
    return record, torch.stack([score > 1, score < 0], 1).float() if kind == "sigmoid" else (score > 1).long()


def batches_of(record, label, size=100):
    def batches(*roles):
        for start in range(0, len(label), size):
            whole = {"record": record[start : start + size], "label": label[start : start + size]}
            yield SimpleNamespace(**{role: value for role, value in whole.items() if role in roles})

    return batches


@torch.no_grad()
def wrong(kind, answer, label):
    """The share of wrong answers, or the error as a share of the spread."""
    if kind == "number":
        return float((answer[:, 0] - label).square().mean().sqrt() / label.std())
    return float((((answer > 0) != (label > 0.5)) if kind == "sigmoid" else answer.argmax(1) != label).float().mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("floor", [LinearOnRecord, BoostedTrees])
def test_it_learns_and_loads_and_refits_with_its_choices(floor, kind):
    made = floor(kind=kind)
    fitted = made.fit(batches_of(*rows(kind)), features(kind), seconds=60)
    record, label = rows(kind, number=500, seed=1)
    assert wrong(kind, fitted(record), label) < 0.15
    built = made.build(features(kind))
    built.load_state_dict(fitted.state_dict())
    assert torch.equal(built(record), fitted(record))
    again = made.refit(fitted, batches_of(*rows(kind, number=1500, seed=2)), features(kind), seconds=60)
    assert wrong(kind, again(record), label) < wrong(kind, fitted(record), label) + 0.01
    if floor is BoostedTrees:
        assert (again.rounds, again.leaves) == (fitted.rounds, fitted.leaves)
    else:
        assert again.ridge == fitted.ridge > 0
        assert made.several(again, batches_of(*rows(kind)), features(kind), seconds=60) is again


@pytest.mark.parametrize("kind", KINDS)
def test_several_trees_are_the_mean_of_trees_that_drew_differently(kind):
    made, given = BoostedTrees(kind=kind), batches_of(*rows(kind))
    one = made._fit(given, features(kind), until=float("inf"), chosen=Enough(20, 7))
    record, _ = rows(kind, number=500, seed=1)
    several = made.several(one, given, features(kind), seconds=60)
    assert several.rounds == made.members * one.rounds
    others = [made._again(one, given, features(kind), until=float("inf"), seed=seed) for seed in (1, 2)]
    assert not torch.equal(one(record), others[0](record))
    expected = torch.stack([each(record) for each in (one, *others)]).mean(0)
    assert torch.allclose(mean_of([one, *others])(record), expected, rtol=1e-5, atol=1e-5)
    built = made.build(features(kind))
    built.load_state_dict(several.state_dict())
    assert torch.equal(built(record), several(record))
    hurried = made.several(one, given, features(kind), seconds=0)
    assert torch.equal(hurried(record), one(record))  # what time cuts short does not count


def test_trees_end_in_time():
    made = BoostedTrees(kind="number").fit(batches_of(*rows("number", number=20_000)), features("number"), seconds=0.5)
    assert made.rounds >= 1


@pytest.mark.parametrize("kind", ["number", "softmax"])
def test_a_handful_of_rows_is_enough(kind):
    for floor in (LinearOnRecord(kind=kind), BoostedTrees(kind=kind)):
        fitted = floor.fit(batches_of(*rows(kind, number=7)), features(kind), seconds=5)
        assert fitted(rows(kind)[0]).isfinite().all()


def test_many_names_share_places_and_all_count():
    module = RecordLinear(1, (100_000, 5), 2)
    assert len(module.weight) <= MOST_FEATURES
    record = torch.tensor([[0.5, 99_999, 4], [torch.nan, 0, 0]])
    torch.nn.init.normal_(module.weight)
    assert torch.allclose(module.spread(record) @ module.weight + module.bias, module(record), atol=1e-5)


def test_the_mean():
    module = MeanValue().fit(batches_of(*rows("number")), features("number"), seconds=1)
    record, label = rows("number")
    assert module(record)[:, 0].tolist() == pytest.approx([float(label.mean())] * len(label), rel=1e-5)
