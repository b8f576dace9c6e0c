"""Labels that are steps of a scale are known as such, in its order; others are not taken for steps."""

import numpy as np
import pytest

from engram.core.rundir import RunDirectory
from engram.data.store import prepare
from engram.data.table import Column
from engram.features import saved
from engram.features._scales import in_order
from engram.features.category import Category
from engram.tasks.text_classification import TextClassification


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["5", "3", "1", "2", "4"], ["1", "2", "3", "4", "5"]),
        (["10 stars", "2 stars", "1 star"], ["1 star", "2 stars", "10 stars"]),
        (["positive", "neutral", "negative"], ["negative", "neutral", "positive"]),
        (["Very Positive", "very_negative", "Neutral"], ["very_negative", "Neutral", "Very Positive"]),
        (["high", "low", "medium"], ["low", "medium", "high"]),
        (["0", "1", "2", "3", "4", "5"], None),  # numbers of classes, as likely as not
        ([str(number) for number in range(1, 11)], None),  # of topics, say
        (["positive", "negative"], None),  # two are merely different
        (["low", "high", "unknown"], None),
        (["cat", "dog", "bird"], None),
    ],
)
def test_order(names, order):
    assert in_order(set(names), scale=False) == order


def test_a_column_called_a_scale_holds_steps():
    assert in_order({"0", "1", "2"}, scale=True) == ["0", "1", "2"]


def test_a_task_scores_steps_as_steps_and_so_does_its_run(tmp_path):
    label = Category()
    column = Column("label", ["neutral", "positive", "negative"], "text")
    label.fit(prepare(column, label), np.arange(3))
    saved.save(RunDirectory(tmp_path / "run").create(), {"label": label}, {"label": "label"})
    opened = saved.load(RunDirectory(tmp_path / "run"))["label"]
    for feature in (label, opened):
        task = TextClassification()
        task.see({"label": feature})
        assert feature.names == ["negative", "neutral", "positive"]
        assert [metric.name for metric in task.metrics][-2:] == ["mae", "quadratic_kappa"]
    assert "mae" not in [metric.name for metric in TextClassification().metrics]
