"""Intervals hold the truth as often as they say, on rows that they were not fitted on, and are as short as they can."""

import numpy as np
import pytest
import torch
from torch import nn

from engram.evaluate import conformal
from engram.models.delivered_number import DeliveredNumber


class Given(nn.Module):
    """Answers with what it is given: a number and how far off it may be."""

    def forward(self, record_BV):
        return record_BV


def made(number, *, seed, sure):
    """Answers (N, 2), and truths that are off by as much as is said, or by the same throughout."""
    random = np.random.default_rng(seed)
    said = random.choice([0.1, 1.0, 10.0], number)
    value = random.normal(size=number)
    truth = value + random.standard_t(3, number) * (said if sure else 1.0)
    return np.stack([value, said], 1).astype(np.float32), truth.astype(np.float32)


@pytest.mark.parametrize("sure", [True, False])
def test_the_truth_lies_within_as_often_as_is_said(sure):
    answers_NV, truth_N = made(1000, seed=0, sure=sure)
    module = DeliveredNumber(Given(), num_hidden=0)
    fitted = conformal.fit(answers_NV[:, 0], answers_NV[:, 1], truth_N)
    fitted.apply(module)
    assert fitted.relative is sure, "what the network thinks of its errors counts where it is right"
    others_NV, truths_N = made(20_000, seed=1, sure=sure)
    for level in (0.5, 0.8, 0.95, 0.975):
        value_N, low_N, high_N = module(torch.from_numpy(others_NV), level=level).numpy().T
        assert np.array_equal(value_N, others_NV[:, 0])
        assert np.mean((low_N <= truths_N) & (truths_N <= high_N)) == pytest.approx(level, abs=0.04)
    standard = module(torch.from_numpy(others_NV[:3]))
    assert torch.equal(standard, module(torch.from_numpy(others_NV[:3]), level=0.8))


def test_few_rows_promise_no_more_than_they_can_show():
    fitted = conformal.fit(np.zeros(3), None, np.array([1.0, -2.0, 3.0]))
    assert fitted.widths[-1] == fitted.widths[80] == 3.0  # of three, the fourth lies beyond all with one chance in four
    assert fitted.widths[50] == 2.0
    assert (conformal.fit(np.zeros(0), None, np.zeros(0)).widths == 0).all()


def test_a_network_that_says_one_number_a_row_is_taken_too():
    module = DeliveredNumber(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), num_hidden=2)
    conformal.fit(np.zeros(9), None, np.arange(9.0)).apply(module)
    answers_BV = module(torch.zeros(4, 2))
    assert answers_BV.shape == (4, 3)
    assert torch.allclose(answers_BV[:, 2] - answers_BV[:, 1], torch.tensor(2 * float(module.width(0.8))))


def test_a_floor_counts_in_the_number_and_not_in_the_width():
    module = DeliveredNumber(Given(), num_hidden=0)
    module.blend(nn.Linear(2, 1, bias=False), "floor", share=0.25)
    nn.init.zeros_(module.floor.weight)
    module.widths.fill_(1.0)
    module.relative.fill_(1.0)
    found = module(torch.tensor([[8.0, 3.0]]))
    assert found[0].tolist() == [2.0, -1.0, 5.0]
