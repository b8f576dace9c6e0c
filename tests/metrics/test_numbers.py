"""Metrics of numbers against scikit-learn's, weights against repeating examples, and numbers of any size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engram.core import registry
from engram.evaluate import intervals

sklearn = pytest.importorskip("sklearn.metrics")
THEIRS = {
    "mae": sklearn.mean_absolute_error,
    "mse": sklearn.mean_squared_error,
    "r2": sklearn.r2_score,
    "rmse": sklearn.root_mean_squared_error,
}
LABEL = torch.tensor([1.0, 2.0, 2.5, -4.0, 0.0])
ANSWER = torch.tensor([[1.5, 1.0, 2.0], [2.0, 1.9, 2.1], [0.0, -1.0, 1.0], [-3.0, -5.0, -1.0], [0.1, 0.05, 0.15]])


def metric_of(name):
    return registry.find("engram.metrics", name, base="metric")()


def kept(name, answer, label):
    return metric_of(name).update(answer, SimpleNamespace(label=label))


@pytest.mark.parametrize("size", [1.0, 1e-8, 1e8])
@pytest.mark.parametrize("name", THEIRS)
def test_as_scikit_learn_has_it(name, size):
    label, answer = LABEL.double() * size, ANSWER.double() * size
    expected = THEIRS[name](label.numpy(), answer[:, 0].numpy())
    assert metric_of(name).compute(kept(name, answer, label)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", [*THEIRS, "coverage", "interval_width"])
def test_a_weight_counts_as_often_as_repeating(name):
    weights = np.array([2, 0, 1, 3, 1])
    again = torch.from_numpy(np.repeat(np.arange(5), weights))
    metric = metric_of(name)
    repeated = metric.compute(kept(name, ANSWER[again], LABEL[again]))
    assert metric.compute(kept(name, ANSWER, LABEL), weights) == pytest.approx(repeated, rel=1e-5)


def test_coverage_counts_the_truths_within_and_answers_without_intervals_have_none():
    assert metric_of("coverage").compute(kept("coverage", ANSWER, LABEL)) == pytest.approx(3 / 5)
    assert metric_of("interval_width").compute(kept("interval_width", ANSWER, LABEL)) == pytest.approx(1.46)
    metrics = tuple(map(metric_of, ("rmse", "coverage", "interval_width")))
    alone = {metric.name: metric.update(ANSWER[:, :1], SimpleNamespace(label=LABEL)) for metric in metrics}
    assert intervals.scores(metrics, alone).keys() == {"rmse"}
