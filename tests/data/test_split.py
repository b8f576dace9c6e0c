"""Splits: a pure function of content and seed, with duplicates and groups on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram.core.errors import DataError
from engram.data.split import Splits, assign


def digests(contents: list[int] | np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(7)
    table = generator.integers(0, 256, (int(max(contents, default=0)) + 1, 16), dtype=np.uint8)
    return table[np.asarray(contents, dtype=np.int64)]


def sides(splits: Splits, number: int) -> np.ndarray:
    side = np.full(number, "", dtype="U5")
    for name, rows in splits.rows.items():
        assert (side[rows] == "").all(), "a row stands on one side only"
        side[rows] = name
    return side


EXAMPLES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(0, 12)), min_size=12, max_size=80)
"""Rows as (content, label, group)."""


@settings(max_examples=60, deadline=None)
@given(rows=EXAMPLES, seed=st.integers(0, 5), order=st.randoms(use_true_random=False), grouped=st.booleans())
def test_the_order_of_rows_changes_nothing(rows: list, seed: int, order: object, grouped: bool) -> None:
    shuffled = list(range(len(rows)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]

    def split(positions: list[int]) -> np.ndarray:
        chosen = [rows[p] for p in positions]
        groups = [f"g{g}" for _, _, g in chosen] if grouped else None
        labels = [str(label) for _, label, _ in chosen]
        found = assign(labels=labels, digests=digests([60, *(c for c, _, _ in chosen)])[1:], groups=groups, seed=seed)
        return sides(found, len(chosen))

    assert (split(list(range(len(rows))))[shuffled] == split(shuffled)).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=EXAMPLES,
    seed=st.integers(0, 5),
    names=st.lists(st.sampled_from(["train", "test", "val", ""]), min_size=80, max_size=80),
)
def test_duplicates_and_groups_stay_together(rows: list, seed: int, names: list[str]) -> None:
    contents, labels, groups = zip(*rows, strict=True)
    for chosen in (None, np.array(names[: len(rows)])):
        try:
            found = assign(
                labels=[str(label) for label in labels], digests=digests(list(contents)), groups=list(map(str, groups)),
                given=chosen, seed=seed,
            )  # fmt: skip
        except DataError:
            continue
        side = sides(found, len(rows))
        for keys in (contents, groups):
            for key in set(keys):
                assert len(set(side[np.array(keys) == key]) - {""}) <= 1
        if chosen is not None:
            assert (side[chosen == "test"] == "test").all(), "given test rows are never altered"


@pytest.mark.parametrize("seed", range(3))
def test_proportions_in_every_class(seed: int) -> None:
    labels = np.repeat(["a", "b", "c"], [1000, 100, 20])
    side = sides(assign(labels=list(labels), digests=digests(np.arange(1120)), seed=seed), 1120)
    for name, number in (("a", 1000), ("b", 100), ("c", 20)):
        for split in ("val", "test"):
            assert (side[labels == name] == split).sum() == number // 10
        assert (side[labels == name] == "train").sum() == number * 8 // 10


def test_seeds_differ() -> None:
    a, b = (sides(assign(labels=None, digests=digests(np.arange(100)), seed=seed), 100) for seed in (0, 1))
    assert (a != b).any()


@pytest.mark.parametrize(
    ("number", "expected"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (2, 1, 0)), (4, (2, 1, 1)), (9, (7, 1, 1))]
)
def test_tiny_classes(number: int, expected: tuple[int, int, int]) -> None:
    labels = np.array(["tiny"] * number + ["big"] * 50)
    found = assign(labels=list(labels), digests=digests(np.arange(len(labels))))
    side = sides(found, len(labels))[:number]
    assert tuple((side == name).sum() for name in ("train", "val", "test")) == expected
    assert [f.kind for f in found.findings] == (["tiny_class"] if number == 1 else [])


def test_given_test_set_leaves_a_tenth_of_training_for_validation() -> None:
    chosen = np.array(["train"] * 100 + ["test"] * 30)
    found = assign(labels=["a", "b"] * 65, digests=digests(np.arange(130)), given=chosen)
    assert {name: len(rows) for name, rows in found.rows.items()} == {"train": 90, "val": 10, "test": 30}
    assert found.rows["test"].tolist() == list(range(100, 130)) and not found.findings


def test_given_validation_stays_and_test_is_made() -> None:
    chosen = np.array(["train"] * 100 + ["val"] * 30)
    found = assign(labels=["a", "b"] * 65, digests=digests(np.arange(130)), given=chosen)
    assert {name: len(rows) for name, rows in found.rows.items()} == {"train": 90, "val": 30, "test": 10}


def test_all_given_stays() -> None:
    chosen = np.array(["train", "val", "test"] * 10)
    side = sides(assign(labels=None, digests=digests(np.arange(30)), given=chosen), 30)
    assert (side == chosen).all()


def test_undecided_rows_learn_where_all_splits_are_given() -> None:
    chosen = np.array(["train", "val", "test", ""] * 10)
    side = sides(assign(labels=None, digests=digests(np.arange(40)), given=chosen), 40)
    assert (side[chosen == ""] == "train").all()


def test_training_copies_of_test_rows_are_dropped_and_reported() -> None:
    chosen = np.array(["train"] * 20 + ["val"] * 5 + ["test"] * 5)
    contents = [*range(20), *range(20, 25), 0, 1, 20, 28, 29]
    found = assign(labels=None, digests=digests(contents), given=chosen, where=lambda row: f"{row}.png")
    assert found.rows["test"].tolist() == [25, 26, 27, 28, 29]
    assert 0 not in found.rows["train"] and 1 not in found.rows["train"] and 20 not in found.rows["val"]
    (leak,) = found.findings
    assert leak.kind == "leak" and leak.where == ("0.png", "1.png", "20.png") and leak.severity == "warning"


def test_unreadable_rows_stand_nowhere() -> None:
    usable = np.arange(50) % 10 != 0
    side = sides(
        assign(
            labels=None, digests=np.zeros((50, 16), np.uint8) + np.arange(50, dtype=np.uint8)[:, None], usable=usable
        ),
        50,
    )
    assert (side[~usable] == "").all() and (side[usable] != "").all()


def test_several_labels() -> None:
    labels = [["sea"], ["sky", "sea"], ["sea", "sky"], []] * 25
    side = sides(assign(labels=labels, digests=digests(np.arange(100))), 100)
    both = np.array([len(names) == 2 for names in labels])
    assert (side[both] == "test").sum() == 5


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="rows to train on"):
        assign(labels=None, digests=digests([1, 2]), given=np.array(["test", "test"]))
    with pytest.raises(DataError):
        assign(labels=None, digests=np.zeros((0, 16), np.uint8))


def test_many_small_classes_keep_the_share() -> None:
    labels = [f"person {n // 5}" for n in range(200)] * 2
    chosen = np.array(["train"] * 200 + ["test"] * 200)
    found = assign(labels=labels, digests=digests(np.arange(400)), given=chosen)
    assert {name: len(rows) for name, rows in found.rows.items()} == {"train": 180, "val": 20, "test": 200}
    triples = assign(labels=[f"{n // 3}" for n in range(300)], digests=digests(np.arange(300)))
    assert {name: len(rows) for name, rows in triples.rows.items()} == {"train": 240, "val": 30, "test": 30}


def test_large_groups() -> None:
    groups = [f"patient {n // 40}" for n in range(400)]
    side = sides(assign(labels=None, digests=digests(np.arange(400)), groups=groups), 400)
    assert [(side == name).sum() for name in ("train", "val", "test")] == [320, 40, 40]
