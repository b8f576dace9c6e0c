"""Trees as arrays decide as LightGBM does, whatever the columns hold; and arrays that are no trees are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engram.floors._lightgbm import arrays_of
from engram.floors._trees import ARRAYS, Trees
from engram.floors.boosted_trees import Boosting, Enough, categories

lightgbm = pytest.importorskip("lightgbm")

RECORD = SimpleNamespace(num_numbers=4, cardinalities=(3, 50))
NUMBER = 600


def records(random: np.random.Generator) -> np.ndarray:
    """Numbers, one of them with missing values, one with few values, one that is hardly ever zero, and two names."""
    numbers = random.normal(size=(NUMBER, 4)).astype(np.float32)
    numbers[random.random(NUMBER) < 0.2, 1] = np.nan
    numbers[:, 2] = random.integers(-2, 3, NUMBER)
    names = np.stack([random.integers(0, 3, NUMBER), random.integers(0, 50, NUMBER)], 1)
    return np.concatenate([numbers, names.astype(np.float32)], 1)


def labels(random: np.random.Generator, record_NF: np.ndarray, classes: int) -> np.ndarray:
    """What hangs on the columns, missing ones included, beside noise."""
    score = np.nan_to_num(record_NF[:, 1], nan=2.0) + record_NF[:, 0] * (record_NF[:, 4] - 1) + record_NF[:, 5] % 7 / 3
    score = score + random.normal(size=NUMBER)
    if classes == 0:
        return 1000 + 50 * score
    return np.digitize(score, np.quantile(score, np.linspace(0, 1, max(2, classes) + 1)[1:-1]))


def thresholds(text: str) -> list[float]:
    """What numbers are compared with, in double precision: where rounding could decide otherwise.

    Not those that stand for zero (1e-35), which LightGBM itself reads back a little off.
    """
    lines = [line for line in text.splitlines() if line.startswith("threshold=")]
    found = [float(number) for line in lines for number in line.partition("=")[2].split()]
    return [number for number in found if abs(number) > 1e-30]


@pytest.mark.parametrize("classes", [0, 1, 3], ids=["numbers", "two classes", "three classes"])
def test_arrays_answer_as_lightgbm_does(classes):
    random = np.random.default_rng(0)
    record_NF = records(random)
    boosting = Boosting(record_NF, labels(random, record_NF, classes), RECORD, classes=classes, until=np.inf)
    text = boosting.model(Enough(40, 31))
    theirs = lightgbm.Booster(model_str=text)
    asked = np.concatenate([record_NF, records(np.random.default_rng(1))])
    asked[::3, 0] = np.nan  # where training never missed a number
    asked[len(record_NF) :, 3] = np.float32(random.choice(thresholds(text), NUMBER))
    expected = theirs.predict(asked.astype(np.float64), raw_score=True).reshape(len(asked), -1)
    trees = Trees(max(1, classes)).take(arrays_of([text], categories(RECORD)))
    got = trees(torch.from_numpy(asked)).double().numpy()
    assert np.abs(got - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())
    assert trees.right_set.any() and (trees.set_begin >= 0).any(), "some nodes look at categories"


@pytest.mark.parametrize(
    ("name", "value"),
    [("child", 0), ("child", 10**6), ("root", -1), ("child", None)],
    ids=["loop", "far", "before", "cut"],
)
def test_arrays_that_are_no_trees_are_refused(name, value):
    random = np.random.default_rng(0)
    record_NF = records(random)
    boosting = Boosting(record_NF, labels(random, record_NF, 0), RECORD, classes=0, until=np.inf)
    state = Trees(1).take(arrays_of([boosting.model(Enough(2, 31))], categories(RECORD))).state_dict()
    assert state.keys() == {*ARRAYS, "leaves"}
    state[name] = state[name][:-1] if value is None else torch.full_like(state[name], value)
    with pytest.raises(RuntimeError, match="expected"):
        Trees(1).load_state_dict(state)
