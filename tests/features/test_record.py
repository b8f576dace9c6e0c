"""Records: what each column is found to be, and what networks see of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engram.core.errors import ConfigError, DataError, RunError
from engram.data.infer import rows_of
from engram.data.packed import Rows
from engram.data.store import prepare
from engram.data.table import Column
from engram.features._fields.digests import of
from engram.features._fields.moments import DAY, part_of
from engram.features._fields.numbers import Scale
from engram.features.record import Record

RANDOM = np.random.default_rng(0)
N = 60


def column(**columns: list[Any]) -> Column:
    kinds = {True: "number", False: "text"}

    def kind(values: list[Any]) -> str:
        some = next(value for value in values if value is not None)
        return "names" if isinstance(some, list) else kinds[not isinstance(some, str)]

    return rows_of({name: Column(name, values, kind(values)) for name, values in columns.items()})


def fitted(rows: Column, tmp_path: Any, train: int | None = None, **wishes: Any) -> tuple[Record, Any]:
    feature = Record.survey(rows, **wishes)
    stored = prepare(rows, feature, cache=tmp_path)
    feature.fit(stored, np.arange(train or len(rows)))
    return feature, stored


def kinds(feature: Record) -> dict[str, str]:
    return {field.name: field.kind for field in feature.fields}


def test_what_columns_are():
    words = ["good", "bad", "fine", "never", "again", "room", "view", "staff"]
    texts = [" ".join(RANDOM.choice(words, 8).tolist()) + f" {n}" for n in range(N)]
    rows = column(
        id=list(range(1, N + 1)), code=[f"K-{n:04}" for n in range(N)], one=["x"] * N, none=[*([None] * (N - 1)), "?"],
        size=[n / 7 for n in range(N)], rooms=[n % 5 for n in range(N)], flag=[n % 2 == 0 for n in range(N)],
        colour=[["red", "green", "?"][n % 3] for n in range(N)], town=[f"town {n // 2}" for n in range(N)],
        day=[f"{1 + n % 28:02}.0{1 + n % 9}.2023" for n in range(N)], sale_date=[45_000 + n * 3 for n in range(N)],
        text=texts, tags=[["a", "b"][: n % 3] for n in range(N)],
    )  # fmt: skip
    feature = Record.survey(rows)
    assert kinds(feature) == {
        "size": "number", "rooms": "number", "flag": "category", "colour": "category", "town": "category",
        "day": "date", "sale_date": "date", "text": "text", "tags": "text",
    }  # fmt: skip
    assert set(feature.left_out) == {"id", "code", "one", "none"} and "numbers the rows" in feature.left_out["id"]
    assert all(field.reason for field in feature.fields)
    assert [field.name for field in feature.fields if field.optional] == ["colour"]


def test_the_user_decides_what_a_column_is():
    rows = column(
        zip=[10_000 + n % 7 for n in range(N)], day=["03/04/2023", "05/06/2023"] * (N // 2), x=[0.5, 1.5] * (N // 2)
    )
    plain = Record.survey(rows)
    assert kinds(plain) == {"zip": "number", "day": "date", "x": "number"}
    assert "--columns day=date:%d/%m/%Y" in plain.fields[1].reason
    feature = Record.survey(rows, columns=["zip=category", "day=date:%d/%m/%Y", "x=ignore"])
    assert kinds(feature) == {"zip": "category", "day": "date"} and "as asked" in feature.left_out["x"]
    assert feature.fields[1].read_one("03/04/2023") == plain.fields[1].read_one("04/03/2023")
    with pytest.raises(ConfigError, match="did you mean 'category'"):
        Record.survey(rows, columns={"zip": "categry"})
    with pytest.raises(ConfigError, match="column"):
        Record.survey(rows, columns={"zop": "category"})
    with pytest.raises(DataError, match="there is none"):
        Record.survey(column(a=["x"] * N))


@pytest.mark.parametrize(
    "written",
    [
        ["2023-03-09", "2023-12-31"], ["09.03.2023", "31.12.2023"], ["3/9/2023", "12/31/2023"],
        ["9 Mar 2023", "31 Dec 2023"], ["Mar 09, 2023", "Dec 31, 2023"], ["20230309", "20231231"],
        ["09.03.23", "31.12.23"],
        ["2023-03-09T00:00:00Z", "2023-12-31T00:00:00Z"], ["2023-03-09 00:00", "2023-12-31 00:00:00"],
    ],
)  # fmt: skip
def test_dates_in_many_spellings(written):
    rows = column(day=[written[n % 2] for n in range(N)])
    (field,) = Record.survey(rows).fields
    march, december = (np.datetime64(day).astype(np.int64) * DAY for day in ("2023-03-09", "2023-12-31"))
    assert field.kind == "date" and field.parts == ["month", "day", "weekday"]
    assert [field.read_one(value) for value in written] == [march, december]
    assert part_of(np.array([march]), "weekday") == [3] and part_of(np.array([december]), "month") == [12]


def test_ranks_rise_strictly_and_are_clipped_smoothly():
    numbers = np.concatenate([RANDOM.pareto(1, 5000), np.zeros(5000)])
    scale = Scale()
    scale.fit(numbers)
    asked = np.unique(np.concatenate([numbers, [-1e9, -5, -1, 1e3 * numbers.max(), 1e9 * numbers.max()]]))
    scores = scale.encode(asked)
    assert (np.diff(scores) > 0).mean() > 0.999 and (np.diff(scores) >= 0).all()
    assert abs(float(scores[0])) < 30 and float(scores[-1]) < 30 and abs(scale.encode(numbers).mean()) < 0.2
    assert np.isnan(scale.encode(np.array([np.nan, np.inf, -np.inf]))).all()
    assert np.allclose(scale.decode(scale.encode(numbers[:100])), numbers[:100], rtol=1e-3)


def test_codes_go_by_frequency_and_rare_or_new_names_share_zero(tmp_path):
    names = ["b"] * 30 + ["a"] * 20 + ["c"] * 9 + ["d"]
    feature, stored = fitted(column(name=names, x=list(RANDOM.normal(size=N))), tmp_path, train=59)
    assert feature.cardinalities == (4,) and feature.num_numbers == 1 and feature.labels == ("x", "name")
    encoded = feature.encode(stored.gather(np.array([0, 30, 50, 59])))
    assert encoded.dtype == torch.float32 and encoded[:, 1].tolist() == [1, 2, 3, 0]
    new = feature.store({"name": "never seen", "x": 1})
    assert feature.encode({"cells": new["cells"][None]})[0, 1] == 0
    many = [f"n{n // 2}" if n < 120 else "often" for n in range(130)]
    feature, _ = fitted(column(name=many, x=list(RANDOM.normal(size=130))), tmp_path)
    assert feature.cardinalities == (2,) and "60 rare ones" in feature.fields[0].summary(_.arrays["cells"][:, 0])


def test_rows_that_lack_a_column_are_named_unless_it_may_be_missing(tmp_path):
    feature, _ = fitted(column(a=[n * 1.5 for n in range(N)], b=[None, *["x", "y", "y"] * 19, "x", "y"]), tmp_path)
    assert np.isnan(feature.store({"b": "x", "a": None})["cells"][0])
    assert feature.store({"a": 1, "unknown": 3})["cells"].tolist() == [1.0, 0.0]
    for row, said in (
        ({"b": "x"}, "a value for a; got b"),
        ({}, "got none"),
        ("x", "a mapping"),
        ({"a": "many"}, "number"),
    ):
        with pytest.raises(DataError, match=said):
            feature.store(row)
    assert feature.received({"a": 1}, most=1) and feature.entry().details["columns"][1]["choices"] == ["y", "x"]


def test_topics_tell_texts_apart_and_new_words_do_no_harm(tmp_path):
    about = (["cat", "paw", "fur", "tail", "whisker"], ["tax", "rate", "bank", "loan", "debt"])
    texts = [" ".join(RANDOM.choice(about[n % 2], 6).tolist()) + f" the {n}" for n in range(200)]
    feature, stored = fitted(column(text=texts), tmp_path)
    topics = feature.encode(stored.gather(np.arange(200))).numpy()
    gap = np.abs(topics[::2].mean(0) - topics[1::2].mean(0)) / topics.std(0)
    assert feature.labels[0] == "text: topic 1" and gap.max() > 1.5
    odd = [feature.store({"text": text}) for text in ("quite other words", "", "cat tax")]
    assert torch.isnan(feature.encode({"cells": np.zeros((3, 0)), "words_0": [o["words_0"] for o in odd]})[1]).all()


def test_equal_rows_are_copies_unless_they_are_to_be_expected():
    few = RANDOM.integers(0, 3, (500, 2)).astype(np.float64)
    assert len(np.unique(of(few, []), axis=0)) == 500
    many = RANDOM.normal(size=(500, 4))
    many[7] = many[3]
    digests = of(many, [])
    assert len(np.unique(digests, axis=0)) == 499 and (digests[7] == digests[3]).all()
    order = RANDOM.permutation(500)
    assert set(map(bytes, of(few[order], []))) == set(map(bytes, of(few, [])))


def test_damaged_state_is_refused(tmp_path):
    feature, _ = fitted(column(a=[n * 1.5 for n in range(N)], b=["x", "y"] * (N // 2)), tmp_path)
    values, arrays = feature.state()
    for broken in ({}, {"fields": [{}]}, {"fields": [{}, {"known": [5]}]}, {"fields": [{}, {"known": [1, 1]}]}):
        with pytest.raises(RunError):
            Record(**feature.config()).load_state(broken, arrays)
    for knots in (np.array([1.0, 1.0]), np.array([np.nan, 2.0]), np.array(["a"])):
        with pytest.raises(RunError):
            Record(**feature.config()).load_state(values, {**arrays, "0/knots": knots})


def test_rows_give_plain_values():
    rows = Rows(column(a=[1, None], b=["x", "y"]).values.columns)
    assert list(rows) == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}] and rows[-1] == rows[:][1] and len(rows) == 2
