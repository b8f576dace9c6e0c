"""Counts in sentences."""

import pytest

from engram.core.evidence import Finding
from engram.core.units import agreeing


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("1 files are odd and were left out", "1 file is odd and was left out"),
        ("1 of 300 rows have no time and were left out", "1 of 300 rows has no time and was left out"),
        ("1 classes have one example", "1 class has one example"),
        ("1 exact copies of other rows; copies stay", "1 exact copy of other rows; copies stay"),
        (
            "1 texts (1 %) are longer than the 9 tokens that are read",
            "1 text (1 %) is longer than the 9 tokens that are read",
        ),
        ("1 columns say the same as another one", "1 column says the same as another one"),
        ("1 times copies have different labels", "once copies have different labels"),
        ("1,200 files are odd", "1,200 files are odd"),
        ("11 files are odd", "11 files are odd"),
        ("1 series by day", "1 series by day"),
    ],
)
def test_a_count_of_one_is_followed_by_the_singular(many, one):
    assert agreeing(many) == one == Finding("info", "any", many).message
