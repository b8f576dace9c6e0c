"""What columns do to answers: importance where a column counts, and courses that are what the model does."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engram.core.answers import Labels, Numbers
from engram.data.infer import rows_of
from engram.data.source import read
from engram.data.store import in_memory
from engram.explain import columns
from engram.features.record import Record
from engram.metrics.accuracy import Accuracy
from engram.metrics.rmse import Rmse

NUMBER = 400


@pytest.fixture(scope="module")
def record():
    """A record of numbers, names and days, fitted; with its rows encoded."""
    random = np.random.default_rng(0)
    days = np.datetime64("2020-01-01") + random.integers(0, 700, NUMBER)
    data = {
        "size": random.normal(50, 20, NUMBER).round(1).tolist(),
        "noise": random.normal(size=NUMBER).round(2).tolist(),
        "colour": random.choice(["red", "green", "blue"], NUMBER, p=[0.5, 0.3, 0.2]).tolist(),
        "day": [str(day) for day in days],
    }
    column = rows_of(read(data, target=()).columns)
    feature = Record.survey(column)
    stored = in_memory(column, feature)
    feature.fit(stored, np.arange(NUMBER))
    return feature, feature.encode(stored.gather(np.arange(NUMBER)))


def asked(record, answer, label, *, metric, logits=False):
    feature, encoded = record
    task = SimpleNamespace(answers=Labels() if logits else Numbers())
    predictor = SimpleNamespace(output=lambda batch: (answer(batch.record), None), task=task)
    return columns.Asked(predictor, "record", feature.axes(), encoded, label, metric)


def places(record):
    return {axis.name: axis.places for axis in record[0].axes()}


def test_axes_are_the_columns_and_hold_every_place_once(record):
    feature, encoded = record
    axes = feature.axes()
    assert [axis.name for axis in axes] == list(feature.columns) == ["size", "noise", "colour", "day"]
    assert sorted(np.concatenate([axis.places for axis in axes]).tolist()) == list(range(encoded.shape[1]))
    assert len(places(record)["day"]) > 1, "a date is several numbers"


def test_courses_lie_within_what_was_learned_from(record):
    feature, encoded = record
    for axis in feature.axes():
        own = encoded[:, axis.places].numpy()
        assert axis.course.encoded.shape == (len(axis.course.values), len(axis.places))
        assert (axis.course.encoded[:, 0] >= own[:, 0].min() - 1e-6).all()
        assert (axis.course.encoded[:, 0] <= own[:, 0].max() + 1e-6).all()
        if axis.course.edges:
            assert np.isclose(sum(axis.course.shares), 1) and (np.diff(axis.course.values) > 0).all()
    by_name = {axis.name: axis.course for axis in feature.axes()}
    assert by_name["colour"].values == ["red", "green", "blue"], "the commonest first"
    assert 2020 <= by_name["day"].values[0] < by_name["day"].values[-1] < 2022 and by_name["day"].unit == "year"


def test_a_column_matters_as_far_as_the_answer_hangs_on_it(record):
    encoded, at = record[1], places(record)
    moment, weekday = at["day"][:2]

    def answer(record_BF):
        number_B = 3 * record_BF[:, at["size"][0]] + record_BF[:, moment] - record_BF[:, weekday]
        return number_B[:, None]

    rows = asked(record, answer, answer(encoded)[:, 0], metric=Rmse())
    found = {one.axis.name: one for one in columns.importances(rows)}
    assert next(iter(found)) == "size" and found["size"].interval[0] > 0
    assert found["noise"].mean == found["colour"].mean == 0
    spread = encoded[:, at["size"][0]].std().item()
    assert found["size"].mean == pytest.approx(3 * spread * 2**0.5, rel=0.1)  # of two that are drawn at random
    together = answer(encoded)[:, 0] - 3 * encoded[:, at["size"][0]]
    assert found["day"].mean == pytest.approx(together.std().item() * 2**0.5, rel=0.15), "its places go together"


def test_of_hits_a_rise_is_a_fall(record):
    at = places(record)["size"][0]

    def answer(record_BF):
        return torch.stack([-record_BF[:, at], record_BF[:, at]], 1)

    rows = asked(record, answer, (record[1][:, at] > 0).long(), metric=Accuracy(), logits=True)
    first, *others = columns.importances(rows)
    assert first.axis.name == "size" and first.mean == pytest.approx(0.5, abs=0.06)
    assert all(one.mean == 0 for one in others)


def test_a_course_is_the_mean_answer_where_all_rows_have_a_value(record):
    at = places(record)

    def answer(record_BF):
        return (record_BF[:, at["size"]] ** 2 + 10 * (record_BF[:, at["colour"]] == 2)).float()

    rows = asked(record, answer, torch.zeros(NUMBER), metric=Rmse())
    by_name = {axis.name: axis for axis in rows.axes}
    found_GA = columns.course(rows, by_name["colour"])
    assert found_GA[1, 0] - found_GA[0, 0] == pytest.approx(10) and found_GA[2, 0] == pytest.approx(found_GA[0, 0])
    along_GA = columns.course(rows, by_name["size"])
    green = (rows.encoded[: columns.COURSE_ROWS, at["colour"]] == 2).float().mean().item()
    np.testing.assert_allclose(along_GA[:, 0], by_name["size"].course.encoded[:, 0] ** 2 + 10 * green, rtol=1e-4)


def test_little_time_takes_fewer_rows_and_columns(record):
    rows = asked(record, lambda record_BF: record_BF[:, :1], torch.zeros(NUMBER), metric=Rmse())
    assert len(columns.within(rows, 0.0).encoded) == columns.LEAST_ROWS
    assert len(columns.within(rows, 1e6).encoded) == NUMBER
    assert len(columns.importances(rows, keep_going=lambda: False)) == 1
