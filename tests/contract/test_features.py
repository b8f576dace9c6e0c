"""Every feature keeps its contract, on each sample column that it says it can read."""

import pytest

from engram.core.registry import find, names
from engram.testing import check_feature, sample_columns

PAIRS = [
    (name, column)
    for name in names("engram.features", base="feature")
    for column in sample_columns()
    if find("engram.features", name, base="feature").matches(column)
]


def test_every_feature_reads_some_sample_column() -> None:
    assert set(names("engram.features", base="feature")) == {name for name, _ in PAIRS}


@pytest.mark.parametrize(("name", "column"), PAIRS, ids=[f"{name}-{column.name}" for name, column in PAIRS])
def test_feature(name: str, column: object) -> None:
    check_feature(find("engram.features", name, base="feature"), column.values, kind=column.kind, name=column.name)
