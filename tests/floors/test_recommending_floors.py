"""Floors of recommendation: closed forms beside their definitions, and their way through a file."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engram.core.task import Batch
from engram.floors.biases import Biases
from engram.floors.ease import Ease, Paired, solved
from engram.floors.ease_by_recency import EaseByRecency
from engram.floors.item_neighbours import ItemNeighbours
from engram.floors.popularity import Popularity

ITEMS = 12
FEATURES = SimpleNamespace(history=SimpleNamespace(size=ITEMS, mean=3.0, spread=1.0, low=1.0, high=5.0))


def histories(users: int = 60) -> torch.Tensor:
    """Users who take items 1 to 6 or 7 to 12, four or five of them."""
    random = np.random.default_rng(0)
    history_BL2 = torch.zeros(users, 5, 2)
    for user in range(users):
        size = 4 + user % 2
        history_BL2[user, :size, 0] = torch.from_numpy(1 + 6 * (user % 2) + random.permutation(6)[:size]).float()
        history_BL2[user, :size, 1] = torch.from_numpy(random.normal(size=size) + (user % 2)).float()
    return history_BL2


def batches(*roles: str) -> Iterator[Batch]:
    for part in histories().split(25):
        yield Batch(rows=np.arange(len(part)), history=part, wanted=torch.zeros(len(part), 1, dtype=torch.int64))


def test_ease_is_the_ridge_regression_of_each_item_on_all_others() -> None:
    taken_UI = (torch.rand(80, 6, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    weight_KK = solved(taken_UI.T @ taken_UI, 3.0)
    for item in range(6):
        others = [other for other in range(6) if other != item]
        x_UO, y_U = taken_UI[:, others], taken_UI[:, item]
        expected = torch.linalg.solve(x_UO.T @ x_UO + 3 * torch.eye(5, dtype=torch.float64), x_UO.T @ y_U)
        torch.testing.assert_close(weight_KK[others, item], expected)
        assert weight_KK[item, item] == 0


@pytest.mark.parametrize("floor", [Popularity(), ItemNeighbours(), Ease(), EaseByRecency(), Biases()])
def test_floors_answer_and_survive_a_file(floor: Any) -> None:
    fitted = floor.fit(batches, FEATURES, seconds=5)
    score_BI = fitted(histories())
    assert score_BI.shape == (60, ITEMS) and score_BI.isfinite().all()
    again = floor.build(FEATURES)
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again(histories()), score_BI)


@pytest.mark.parametrize("floor", [ItemNeighbours(), Ease()])
def test_pairs_tell_which_half_of_the_items_is_a_users(floor: Any) -> None:
    score_BI = floor.fit(batches, FEATURES, seconds=5)(histories())
    own, other = score_BI[0::2, :6].mean(), score_BI[0::2, 6:].mean()
    assert own > other and score_BI[1::2, 6:].mean() > score_BI[1::2, :6].mean()


def test_what_was_taken_lately_counts_more() -> None:
    weight_KK = torch.zeros(3, 3)
    weight_KK[0, 2], weight_KK[1, 2] = 1.0, 3.0
    paired = Paired(3).take(torch.zeros(3), torch.arange(3), weight_KK, 1.0)
    history_BL2 = torch.zeros(1, 4, 2)
    history_BL2[0, :2, 0] = torch.tensor([1.0, 2.0])
    assert paired(history_BL2)[0, 2] == pytest.approx(4.0, abs=1e-3)
    assert paired.aged(0.5)(history_BL2)[0, 2] == pytest.approx(2**-0.5 + 3.0, abs=1e-3)


def test_biases_shrink_what_is_known_by_few() -> None:
    fitted = Biases().fit(batches, FEATURES, seconds=5)
    alone = torch.zeros(1, 1, 2)
    alone[0, 0] = torch.tensor([1.0, 2.0])
    assert 0 < float(fitted.generosity(alone)) < (2.0 - float(fitted.bias[0])) / 10
