"""The n-gram floor: probabilities that sum to one, and that know what they have counted."""

import numpy as np
import torch

from engram.floors.n_gram import Counted


def counted() -> tuple[Counted, np.ndarray]:
    random = np.random.default_rng(0)
    text = np.cumsum(random.choice([1, 1, 1, 2], (40, 60)), axis=1) % 7 + 4  # steps of one, seldom of two
    module = Counted(12)
    module.count(text)
    return module, text


def test_probabilities_of_all_tokens_sum_to_one_in_any_context() -> None:
    module, text = counted()
    for context in (text[0, :8], text[3, 5:7], np.array([11, 10, 9])):
        rows = torch.tensor([[*context, token] for token in range(12)])
        assert abs(float((-module.surprise(rows)[:, -1]).exp().sum()) - 1) < 1e-4


def test_it_knows_what_it_has_counted() -> None:
    module, text = counted()
    entropy = 0.75 * np.log(4 / 3) + 0.25 * np.log(4)
    surprise = module.surprise(torch.from_numpy(text))[:, 6:].mean()
    assert entropy - 0.05 < float(surprise) < entropy + 0.1


def test_saved_and_loaded_it_says_the_same() -> None:
    module, text = counted()
    fresh = Counted(12)
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(fresh.surprise(torch.from_numpy(text)), module.surprise(torch.from_numpy(text)))


def test_what_may_follow_is_said_as_what_came_is_scored() -> None:
    module, text = counted()
    rows = torch.from_numpy(np.concatenate([text[:3], np.full((3, 1), 11), text[3:6]], 1))  # 11 was never counted
    nats, kinds = module.judged(rows)
    for row, ids in enumerate(rows.tolist()):
        for place in range(1, len(ids)):
            following, kind = module.following(ids[:place])
            assert abs(following.sum() - 1) < 1e-4
            assert abs(float(nats[row, place - 1]) + np.log(following[ids[place]])) < 1e-4
            assert kind == int(kinds[row, place - 1]) < module.kinds
