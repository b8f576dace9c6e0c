"""What is found of layers, units, groups and inputs: planted facts come out, and nothing comes of nothing."""

from __future__ import annotations

import numpy as np
import polars
import torch
from torch.nn import functional

from engram.evaluate.predictions import TRAIT
from engram.explain.activations import Level
from engram.explain.heads import heads
from engram.explain.probe import probe
from engram.explain.robustness import auroc
from engram.explain.roles import roles
from engram.explain.slices import weak_slices
from engram.explain.vectors import neighbours


def test_a_probe_finds_what_is_there_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 300)
    told = random.normal(size=(300, 20)) + 3 * np.eye(20)[label]
    noise = random.normal(size=(300, 400))
    levels = [Level("noise", "noise", noise), Level("told", "told", told), Level("flat", "flat", np.ones((300, 4)))]
    found = {one.name: one for one in probe(levels, label)}
    assert found["told"].accuracy > 0.9 and found["told"].low < found["told"].accuracy < found["told"].high
    assert found["noise"].accuracy < 0.5 and found["flat"].accuracy < 0.5
    assert probe(levels, np.full(300, -1)) == []


def test_units_are_given_their_roles() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200)
    value = random.normal(size=(200, 5))
    value[:, 1] = 5 * (label == 1) + random.normal(size=200)
    value[:, 2] = 0.0
    value[:, 4] = -3 * value[:, 0] + 1
    found = roles(value, label, 2)
    assert found.serves[1] == 1 and found.auroc[1] > 0.95
    assert found.dead.tolist() == [False, False, True, False, False]
    assert found.twin.tolist() == [-1, -1, -1, -1, 0]


def answered(number: int, *, weak: float) -> polars.DataFrame:
    """Answers that are right in 9 of 10 cases, but for long ones."""
    random = np.random.default_rng(1)
    length, colour = random.uniform(0, 100, number), random.choice(["red", "blue", "green"], number)
    right = random.random(number) < np.where(length > 80, weak, 0.9)
    return polars.DataFrame(
        {"row": np.arange(number), "label": ["x"] * number, "correct": right, TRAIT + "length": length,
         TRAIT + "colour": colour, TRAIT + "noise": random.normal(size=number)}
    )  # fmt: skip


def test_weak_groups_are_found_and_chance_is_not() -> None:
    weak, tried = weak_slices(answered(1000, weak=0.7))
    assert [one.trait for one in weak] == ["length"] and "or more" in weak[0].value and tried == 13
    assert weak[0].right < weak[0].rest and weak[0].low < weak[0].right < weak[0].high
    assert not answered(1000, weak=0.7)["correct"].to_numpy()[weak[0].rows].any()
    assert weak_slices(answered(1000, weak=0.9))[0] == []
    assert weak_slices(answered(20, weak=0.1))[0] == []


def test_heads_are_described_by_where_they_look() -> None:
    query = torch.zeros(1, 2, 6, 4)
    key = torch.zeros(1, 2, 6, 4)
    mask = torch.zeros(1, 2, 6, 6, dtype=torch.bool)
    mask[0, 0] = torch.eye(6, dtype=torch.bool)
    mask[0, 1] = torch.diag(torch.ones(5), -1).bool()
    mask[0, 1, 0, 0] = True
    found = heads(lambda: functional.scaled_dot_product_attention(query, key, key, attn_mask=mask))
    assert [(one.layer, one.number) for one in found] == [(1, 1), (1, 2)]
    assert found[0].itself == 1 and found[0].distance == 0 and "itself" in found[0].said
    assert found[1].before == 1 and "before" in found[1].said
    assert heads(lambda: query + key) == []


def test_neighbours_and_auroc() -> None:
    near = neighbours(np.array([[1.0, 0], [0.9, 0.1], [-1, 0], [-0.9, -0.2]]), number=1)
    assert [some[0][0] for some in near] == [1, 0, 3, 2]
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1 and auroc(np.ones(3), np.ones(5)) == 0.5
