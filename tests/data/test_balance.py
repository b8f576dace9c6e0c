import numpy as np
import pytest

from engram.data.balance import importance


def test_rare_classes_count_more_and_the_mean_stays_one():
    labels = np.array([0] * 90 + [1] * 10 + [1] * 5)
    train = np.arange(100)
    weights = importance(labels, train)
    assert weights[train].mean() == pytest.approx(1.0, rel=1e-5)
    assert weights[95] / weights[0] == pytest.approx(3.0, rel=1e-5)


def test_nearly_balanced_classes_are_left_alone():
    assert importance(np.array([0, 0, 1, 1, 1]), np.arange(5)) is None
