"""What is delivered: the better one where that is clear, a blend where both know something, and no prey of noise."""

import numpy as np
import pytest

from engram.api.competing import blended, choose
from engram.tasks.table_regression import TableRegression
from engram.tasks.text_classification import TextClassification
from engram.tasks.text_tagging import TextTagging

RANDOM = np.random.default_rng(0)
LABEL = RANDOM.integers(0, 3, 900)


def knowing(strength, seed):
    """Logits that know the label so well."""
    noise = np.random.default_rng(seed).normal(size=(len(LABEL), 3))
    return (noise + strength * np.eye(3)[LABEL]).astype(np.float32)


def chosen(network, floor):
    return choose(TextClassification(), network, {"linear_on_text": floor}, LABEL)


def test_two_that_know_different_things_are_blended_for_the_better():
    network, floor = knowing(1.5, 1), knowing(1.5, 2)
    found = chosen(network, floor)
    assert found.chosen == "blend"
    assert 0.3 < found.share < 0.7
    right = [(x.argmax(1) == LABEL).mean() for x in (blended(network, floor, found.share, found.temperatures), network)]
    assert right[0] > right[1] + 0.03


@pytest.mark.parametrize(("network", "floor", "expected"), [(2.0, 0.0, "network"), (0.0, 2.0, "floor")])
def test_where_one_knows_nothing_the_other_is_delivered(network, floor, expected):
    found = chosen(knowing(network, 1), knowing(floor, 2))
    assert found.chosen == expected
    assert found.share == {"network": 1.0, "floor": 0.0}[expected]


def test_a_few_rows_decide_little():
    few = slice(0, 6)
    found = choose(TextClassification(), knowing(1.0, 1)[few], {"linear_on_text": knowing(1.0, 2)[few]}, LABEL[few])
    assert found.chosen == "blend"
    assert 0.2 < found.share < 0.8


def test_overconfident_logits_are_brought_to_scale_first():
    network, floor = knowing(1.5, 1), knowing(1.5, 2)
    plain, loud = chosen(network, floor), chosen(network, 20 * floor)
    assert loud.temperatures[1] == pytest.approx(20 * plain.temperatures[1], rel=0.2)
    assert loud.share == pytest.approx(plain.share, abs=0.06)


def test_several_labels():
    hot = np.eye(3)[LABEL].astype(np.float32)
    found = choose(TextTagging(), 2 * knowing(1.5, 1) - 1, {"linear_on_text": 2 * knowing(1.5, 2) - 1}, hot)
    assert found.chosen == "blend"


def saying(noise, seed):
    """Numbers that are so far off the labels, beside how far off they may be."""
    off = np.random.default_rng(seed).normal(size=len(LABEL)) * noise
    return np.stack([1000 * (LABEL + off), np.ones(len(LABEL))], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("network", "floor", "expected"), [(0.5, 0.5, "blend"), (0.5, 5, "network"), (5, 0.5, "floor")]
)
def test_numbers_compete_too(network, floor, expected):
    label = 1000 * LABEL.astype(np.float32)
    said, beside = saying(network, 1), saying(floor, 2)[:, :1]
    found = choose(TableRegression(), said, {"boosted_trees": beside}, label)
    assert (found.chosen, found.temperatures) == (expected, (1.0, 1.0))
    if expected == "blend":
        assert 0.35 < found.share < 0.65
        errors = [np.square(x[:, 0] - label).mean() for x in (blended(said, beside, found.share, (1, 1)), said, beside)]
        assert errors[0] < 0.6 * min(errors[1:])
