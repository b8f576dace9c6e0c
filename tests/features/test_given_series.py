"""Histories as they come in JSON: the end that a run remembers, said and read, is that very history."""

import numpy as np
import pytest

from engram.core.errors import DataError
from engram.features._clock import DAY, Clock
from engram.features.series import History, Series

STARTS = (("a", 19_000), ("b", 7))
DAYS = Clock("microsecond", DAY, 0)


def made(values, clock=DAYS, **columns):
    feature = Series(**columns, unit=clock.unit, every=clock.every, horizon=2, lookback=3)
    feature.kept = [History(name, start, np.array(values, float), {}, clock) for name, start in STARTS]
    return feature


@pytest.mark.parametrize(
    ("clock", "columns", "values"),
    [
        (DAYS, {"targets": ["x"]}, [[1], [np.nan], [3]]),
        (Clock("month", 3), {"targets": ["x"], "known": ["price"]}, [[1, 5], [2, 6], [np.nan, 7]]),
        (Clock("step"), {"targets": ["x", "y"]}, [[1, 2], [3, np.nan]]),
    ],
)
def test_what_is_offered_reads_as_what_is_remembered(clock, columns, values):
    feature = made(values, clock, **columns)
    for kept, offered in zip(feature.kept, feature.entry().details["offered"], strict=True):
        for value in (offered, {"series": kept.name}):
            read = feature.received(value, most=10)
            assert (read.name, read.start) == (kept.name, kept.start)
            assert np.array_equal(read.values, kept.values, equal_nan=True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "got list"),
        ({"values": [1], "begin": "2024-01-01"}, "got values, begin"),
        ({"series": "c"}, "remembered (a, b); got 'c'"),
        ({"values": [1, 2, 3, 4], "start": "2024-01-01"}, "at most 3 steps; got 4"),
        ({"values": [], "start": "2024-01-01"}, "a list of numbers"),
        ({"values": [1, True], "start": "2024-01-01"}, "step 1 is [True]"),
        ({"values": [1, "2"], "start": "2024-01-01"}, "step 1 is ['2']"),
        ({"values": [[1, 2]], "start": "2024-01-01"}, "step 0 is [1, 2]"),
        ({"values": [1e300], "start": "2024-01-01"}, "step 0 is"),
        ({"values": [1]}, "a time at start"),
        ({"values": [1], "start": "soon"}, "a time at start"),
        ({"values": [1], "start": "9999-01-01"}, "a time at start"),
        ({"values": [1], "start": "2024-01-01 00:00+01:00"}, "a time at start"),
        ({"values": [1], "start": 19_000}, "a time at start"),
    ],
)
def test_what_is_no_history_is_told(value, said):
    with pytest.raises(DataError) as error:
        made([[1], [2]]).received(value, most=3)
    assert said in str(error.value)
