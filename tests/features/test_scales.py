"""Labels that are steps of a scale are known as such, in its order; others are not taken for steps."""

import pytest

from engram.features._scales import in_order


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["5", "3", "1", "2", "4"], ["1", "2", "3", "4", "5"]),
        (["10 stars", "2 stars", "1 star"], ["1 star", "2 stars", "10 stars"]),
        (["positive", "neutral", "negative"], ["negative", "neutral", "positive"]),
        (["Very Positive", "very_negative", "Neutral"], ["very_negative", "Neutral", "Very Positive"]),
        (["high", "low", "medium"], ["low", "medium", "high"]),
        (["0", "1", "2", "3", "4", "5"], None),  # numbers of classes, as likely as not
        (["positive", "negative"], None),  # two are merely different
        (["low", "high", "unknown"], None),
        (["cat", "dog", "bird"], None),
    ],
)
def test_order(names, order):
    assert in_order(set(names), scale=False) == order


def test_a_column_called_a_scale_holds_steps():
    assert in_order({"0", "1", "2"}, scale=True) == ["0", "1", "2"]
