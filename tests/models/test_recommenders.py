"""Networks of recommendation: what comes later changes nothing before it, and users without ratings are usual ones."""

from __future__ import annotations

import numpy as np
import torch

from engram.models.delivered_ranking import DeliveredRanking, standardised
from engram.models.factorisation import Factorisation
from engram.models.sequential_recommender import SequentialRecommender


def history(*items: int, length: int = 8) -> torch.Tensor:
    history_BL2 = torch.zeros(1, length, 2)
    history_BL2[0, : len(items), 0] = torch.tensor(items)
    return history_BL2


def test_an_item_that_training_never_saw_is_known_by_its_marks() -> None:
    network = SequentialRecommender(num_items=4, num_marks=2, of_all=4, width=8, heads=2).eval()
    network.describe(np.array([5, 3, 2, 0]), np.array([0, 0, 1, 0]), np.arange(5))
    vector_ID = network.items()
    torch.testing.assert_close(vector_ID[3], network.items.mark.weight[0])  # type: ignore[union-attr]
    assert not torch.equal(vector_ID[0], vector_ID[3]), "what was seen has a vector of its own too"


def test_only_the_last_interactions_are_read() -> None:
    network = SequentialRecommender(num_items=9, width=8, heads=2, longest=3).eval()
    torch.testing.assert_close(network(history(1, 2, 3, 4, 5)), network(history(9, 8, 3, 4, 5)))
    assert not torch.allclose(network(history(3, 4, 5)), network(history(3, 5, 4))), "their order says something"


def test_the_last_place_by_itself_knows_what_it_knows_among_all() -> None:
    network = SequentialRecommender(num_items=9, width=8, heads=2, longest=6).eval()
    several = torch.cat([history(1, 2, 3), history(4), history(9, 8, 7, 6, 5, 4, 3)])
    window_BT2, last_B = network.window(several)
    state_BTD = network.read(window_BT2, network.items())
    torch.testing.assert_close(network.user(several, network.items()), state_BTD[torch.arange(3), last_B])


def test_learning_asks_for_what_came_later() -> None:
    torch.manual_seed(0)
    network = SequentialRecommender(num_items=9, width=8, heads=2).train()
    for _ in range(5):
        state_PD, next_P, _ = network.learning(history(1, 2, 3), torch.tensor([4]), ahead=1, places=8)
        assert len(state_PD) == 3 and next_P.tolist() == [1, 2, 3]


def test_a_users_vector_is_the_ridge_solution() -> None:
    torch.manual_seed(0)
    network = Factorisation(num_items=6, width=3, members=1).eval()
    seen = history(1, 2, 5)
    seen[0, :3, 1] = torch.tensor([1.0, -1.0, 0.5])
    vector_ID, taken_ID, bias_I = (part[0] for part in network.parts())
    rows, prior_D = vector_ID[[0, 1, 4]], taken_ID[[0, 1, 4]].sum(0) / 3**0.5
    left = seen[0, :3, 1] - bias_I[[0, 1, 4]] - rows @ prior_D
    ridge_DD = torch.diag(network.log_ridge.exp()[0])
    user_D = prior_D + torch.linalg.solve(rows.T @ rows + ridge_DD, rows.T @ left)
    torch.testing.assert_close(network(seen)[0], vector_ID @ user_D + bias_I)


def test_a_blend_of_rankings_is_on_one_scale() -> None:
    one, other = torch.nn.Linear(3, 5), torch.nn.Linear(3, 5)
    module, inputs = DeliveredRanking(one, num_outputs=5, num_hidden=0), torch.randn(2, 3)
    assert torch.equal(module(inputs), one(inputs))
    module.blend(other, "floor", share=0.25)
    expected = 0.25 * standardised(one(inputs)) + 0.75 * standardised(other(inputs))
    torch.testing.assert_close(module(inputs), expected)
