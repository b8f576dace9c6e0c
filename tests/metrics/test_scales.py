"""Metrics of labels that are steps of a scale, against scikit-learn's numbers and by their meaning."""

from types import SimpleNamespace

import pytest
import torch

from engram.metrics.mae import Mae
from engram.metrics.quadratic_kappa import QuadraticKappa


def scored(metric, label, predicted, classes=5):
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()
    return metric.compute(metric.update(logits, SimpleNamespace(label=torch.tensor(label))))


def test_known_values():
    label, predicted = [0, 1, 2, 3, 4, 4], [0, 2, 2, 1, 4, 3]
    assert scored(Mae(), label, predicted) == pytest.approx(4 / 6)
    assert scored(QuadraticKappa(), label, predicted) == pytest.approx(0.75)


def test_far_off_is_worse_than_near_and_unknown_labels_are_left_out():
    for metric, sign in ((Mae(), -1), (QuadraticKappa(), 1)):
        near, far = scored(metric, [0, 2, 4, 4], [1, 2, 4, 4]), scored(metric, [0, 2, 4, 4], [4, 2, 4, 4])
        assert sign * near > sign * far
        assert scored(metric, [0, 2, 4, 4, -1], [1, 2, 4, 4, 0]) == near


def test_chance_reaches_no_agreement():
    assert scored(QuadraticKappa(), [0, 0, 4, 4], [0, 4, 0, 4]) == pytest.approx(0)
    assert scored(QuadraticKappa(), [0, 1, 1, 2, 2, 4, 3], [2] * 7) == 0  # exactly, not 7.8e-16
