"""Several names of one example."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engram.core.errors import DataError
from engram.data.store import collate, prepare
from engram.data.table import Column
from engram.features.categories import Categories


def test_multi_hot() -> None:
    column = Column("labels", [["sea", "sky"], [], ["sky"], "sun|sea", ["sky", "sky", 10]], "names")
    stored = prepare(column, feature := Categories())
    feature.fit(stored, np.array([0, 1, 2, 4]))
    assert feature.names == ["10", "sea", "sky"] and feature.size == 3
    encoded = feature.encode(stored.gather(np.arange(5)))
    assert encoded.dtype == torch.float32
    assert encoded.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert feature.decode(encoded) == [["sea", "sky"], [], ["sky"], ["sea"], ["10", "sky"]]
    again = Categories(**feature.config())
    again.load_state(*feature.state())
    singles = collate([again.store(value) for value in column.values])
    assert torch.equal(again.encode(singles), encoded)


def test_missing_is_not_empty() -> None:
    with pytest.raises(DataError, match="missing"):
        Categories().store(None)
    assert Categories().store([]) == {"names": []} and Categories().store("") == {"names": []}


def test_evidence() -> None:
    assert Categories.matches(Column("labels", [["a"], ["a", "b"]] * 20, "names"))
    assert not Categories.matches(Column("labels", ["a"], "text"))
    assert not Categories.matches(Column("labels", [[]], "names"))
