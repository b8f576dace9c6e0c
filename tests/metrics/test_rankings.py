"""Scores of rankings and of ratings, beside values worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engram.metrics.catalogue_coverage import CatalogueCoverage
from engram.metrics.mae_of_ratings import MaeOfRatings
from engram.metrics.mrr import Mrr
from engram.metrics.ndcg import Ndcg
from engram.metrics.novelty import Novelty
from engram.metrics.recall import Recall
from engram.metrics.rmse_of_ratings import RmseOfRatings

SCORES = torch.tensor([[5.0, 4, 3, 2, 1], [1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]])
WANTED = torch.tensor([[1, 3, 0], [5, -1, 0], [0, 0, 0]])
"""The first two of three users want something: items 1 and 3; item 5 and one that has no score."""


@pytest.mark.parametrize(
    ("metric", "first", "second"),
    [
        (Ndcg(2), 1 / (1 + 1 / math.log2(3)), 1 / (1 + 1 / math.log2(3))),
        (Ndcg(3), 1.5 / (1 + 1 / math.log2(3)), 1 / (1 + 1 / math.log2(3))),
        (Recall(2), 0.5, 0.5),
        (Recall(3), 1.0, 0.5),
        (Mrr(), 1.0, 1.0),
    ],
)
def test_rankings(metric: Any, first: float, second: float) -> None:
    statistics = metric.update(SCORES, SimpleNamespace(wanted=WANTED))
    np.testing.assert_allclose(statistics["value"], [first, second, np.nan])
    assert metric.compute(statistics) == pytest.approx((first + second) / 2)
    assert metric.compute(statistics, weights=np.array([2.0, 0, 1])) == pytest.approx(first)


def test_a_wanted_item_that_is_ranked_low_counts_by_its_place() -> None:
    statistics = Mrr().update(SCORES[:1], SimpleNamespace(wanted=torch.tensor([[4, 5]])))
    assert statistics["value"].tolist() == [0.25]


def test_coverage_and_novelty() -> None:
    batch = SimpleNamespace(wanted=WANTED)
    assert CatalogueCoverage(2).compute(CatalogueCoverage(2).update(SCORES, batch)) == pytest.approx(4 / 5)
    novelty = Novelty(1, np.array([4, 2, 1, 1, 0]))
    assert novelty.compute(novelty.update(SCORES, batch)) == pytest.approx((1 + 3 + 1) / 3)


def test_each_rating_counts_the_same() -> None:
    batch = SimpleNamespace(
        wanted=torch.tensor([[1, 2, 3], [5, -1, 0]]), rating=torch.tensor([[5.0, 4, 1], [3.0, 1, 0]])
    )
    statistics = RmseOfRatings().update(SCORES[:2], batch)
    assert RmseOfRatings().compute(statistics) == pytest.approx(math.sqrt((0 + 0 + 4 + 4) / 4))
    assert MaeOfRatings().compute(MaeOfRatings().update(SCORES[:2], batch)) == pytest.approx(1.0)
