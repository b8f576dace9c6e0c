"""Series are read from tables as people write them; what could mean two things is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engram.core.errors import ConfigError, DataError
from engram.data import source
from engram.data.moments import moments
from engram.data.series.panel import histories, looks_like_series
from engram.data.table import Table
from engram.features.series import TEST, TRAIN, VAL, History


def read(data: dict[str, Any], *, target: Any = None, **wishes: Any) -> tuple[list[History], list[str]]:
    table = source.read(data, target=target)
    made = histories(table, target=target, wishes=wishes)
    return list(made.columns["series"].values), made.notes


def days(number: int, start: str = "2024-01-01") -> list[str]:
    first = np.datetime64(start)
    return [str(day) for day in np.arange(first, first + number)]


@pytest.mark.parametrize(
    ("values", "first", "second"),
    [
        (["2024-03-01", "2024-03-02"], "2024-03-01", "2024-03-02"),
        (["2024-03-01T05:30:00Z", "2024-03-01T06:30:00Z"], "2024-03-01T05:30", "2024-03-01T06:30"),
        (["2024-03-31 01:30+01:00", "2024-03-31 03:30+02:00"], "2024-03-31T00:30", "2024-03-31T01:30"),
        (["13/02/2024", "14/02/2024"], "2024-02-13", "2024-02-14"),
        (["02/13/2024 1:00 PM", "02/13/2024 2:00 PM"], "2024-02-13T13:00", "2024-02-13T14:00"),
        (["1.2.2024", "2.2.2024"], "2024-02-01", "2024-02-02"),
        (["20240301", "20240302"], "2024-03-01", "2024-03-02"),
        (["1949-01", "1949-02"], "1949-01-01", "1949-02-01"),
        (["1-01", "1-02"], "0001-01-01", "0001-02-01"),
        (["Jan 2024", "Feb 2024"], "2024-01-01", "2024-02-01"),
        (["2024Q1", "2024Q2"], "2024-01-01", "2024-04-01"),
        ([1709251200, 1709254800], "2024-03-01T00:00", "2024-03-01T01:00"),
        ([1709251200000, 1709254800000], "2024-03-01T00:00", "2024-03-01T01:00"),
        ([1999, 2000], "1999-01-01", "2000-01-01"),
        ([45352, 45353], "2024-03-01", "2024-03-02"),
    ],
)
def test_times_are_read_in_the_ways_in_which_people_write_them(values: list[Any], first: str, second: str) -> None:
    found = moments(values, name="date")
    assert found is not None
    assert list(found.time) == [np.datetime64(first, "us"), np.datetime64(second, "us")]


def test_day_and_month_are_told_apart_by_evidence_or_refused() -> None:
    regular = [f"{month:02d}/{day:02d}/2024" for month in (1, 2) for day in range(1, 13)]
    found = moments(regular, name="date")
    assert found is not None and "month first, which makes the steps regular" in found.said
    with pytest.raises(DataError, match="which is the day and which the month"):
        moments(["01/01/2024", "02/02/2024", "03/03/2024", "04/04/2024"], name="date")
    with pytest.raises(DataError, match=r"13/01/2024.*day first.*01/13/2024.*month first"):
        moments(["13/01/2024", "01/13/2024"], name="date")


def test_times_with_and_without_a_zone_are_refused() -> None:
    with pytest.raises(DataError, match="with a zone, or without"):
        moments(["2024-03-01 00:00+01:00", "2024-03-01 01:00"], name="date")


@pytest.mark.parametrize("values", [["red", "blue", "red"], [3.5, 2.25, 9.1], [1, 2, 3]])
def test_other_columns_are_no_times(values: list[Any]) -> None:
    assert moments(values, name="price") is None


def test_rows_are_sorted_gaps_filled_and_copies_dropped_and_all_of_it_said() -> None:
    date = days(100)
    order = [*range(50, 100), *range(40), 45, 45, 46]
    sales = {row: float(row) for row in range(100)}
    data = {"date": [date[row] for row in order], "sales": [sales[row] for row in order]}
    (history,), notes = read(data)
    assert len(history) == 100
    assert np.isnan(history.values[40:45, 0]).all() and np.isnan(history.values[47:50, 0]).all()
    assert history.values[45, 0] == 45
    said = " ".join(notes)
    assert "sorted by time" in said and "1 row repeats another" in said
    assert "8 of 100 steps are missing (such as 2024-02-10)" in said


def test_weekends_are_no_gaps_of_workdays() -> None:
    date = [day for day in days(400) if np.is_busday(np.datetime64(day))]
    (history,), _ = read({"Date": date, "close": list(range(len(date)))})
    assert history.clock.name == "workday" and len(history) == len(date)
    assert history.clock.written(np.array([history.start + len(history)])) == ["2025-02-04"]


@pytest.mark.parametrize(
    ("date", "name", "after"),
    [
        ([f"{year}-{month:02d}-28" for year in (2020, 2021, 2022) for month in range(1, 13)], "month", "2023-01-28"),
        (["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30", "2020-05-31"], "month", "2020-06-30"),
        ([str(year) for year in range(1950, 2000)], "year", "2000"),
        (
            [f"2024-01-01 {h:02d}:{m:02d}" for h in range(24) for m in (0, 15, 30, 45)],
            "15 minutes",
            "2024-01-02 00:00:00",
        ),
        (days(40)[::7], "week", "2024-02-12"),
    ],
)
def test_the_clock_is_found_and_goes_on(date: list[str], name: str, after: str) -> None:
    (history,), _ = read({"time": date, "y": list(range(len(date)))})
    assert history.clock.name == name
    assert history.clock.written(np.array([history.start + len(history)])) == [after]


def test_irregular_times_are_refused_with_what_was_found() -> None:
    hours = np.cumsum(np.random.default_rng(0).integers(1, 400, 200))
    date = [str(np.datetime64("2024-01-01T00:00") + int(hour)) for hour in hours]
    with pytest.raises(DataError, match="expected regular times"):
        read({"time": date, "y": list(range(200))})


def test_long_tables_hold_a_series_for_each_name() -> None:
    data = {
        "date": days(60) * 2,
        "store": ["a"] * 60 + ["b"] * 60,
        "item": [7] * 120,
        "sales": list(range(120)),
    }
    found, notes = read(data)
    assert [history.name for history in found] == ["a", "b"]
    assert found[1].values[0, 1] == 60 and "Rows are told apart by store." in notes
    named, _ = read(data, series="store", target="sales")
    assert [history.name for history in named] == ["a", "b"]


def test_rows_of_one_time_that_nothing_tells_apart_are_refused() -> None:
    with pytest.raises(DataError, match="--series COLUMN"):
        read({"date": days(30) * 2, "sales": [float(n) + 0.5 for n in range(60)]})


def test_splits_go_by_time_alone() -> None:
    found, notes = read({"date": days(100) + days(50), "shop": ["a"] * 100 + ["b"] * 50, "y": list(range(150))})
    part = found[0].part
    assert part is not None and list(np.unique(part[:68])) == [TRAIN]
    assert (np.diff(part) >= 0).all() and (part == VAL).sum() == (part == TEST).sum() == 16
    assert found[1].part is not None and (found[1].part == TRAIN).all()
    assert any("before 2024-03-09; from then on is validation" in note for note in notes)


def test_a_given_split_is_kept_and_the_rest_unused() -> None:
    split = ["train"] * 60 + ["val"] * 15 + ["test"] * 15 + [None] * 10
    (history,), _ = read({"date": days(100), "y": list(range(100)), "split": split})
    assert history.part is not None and np.bincount(history.part).tolist() == [60, 15, 15, 10]


def test_what_is_named_is_taken_and_what_does_not_exist_refused() -> None:
    data = {"date": days(60), "other": ["x"] * 60, "price": [1.0] * 60, "y": [float(n) for n in range(60)]}
    (history,), _ = read(data, target="y", known="price")
    assert history.roles["targets"] == ("y",) and history.roles["known"] == ("price",)
    with pytest.raises(ConfigError, match="prise"):
        read(data, known="prise")
    with pytest.raises(DataError, match="expected numbers in other"):
        read(data, target="other")
    with pytest.raises(DataError, match="expected a column of times"):
        read({"a": [1.5, 2.5, 3.5], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(ConfigError, match="--time"):
        read({"start date": days(30), "end date": days(30, "2024-02-01"), "y": [1.0] * 30})


def test_only_a_table_that_is_plainly_a_series_is_taken_for_one() -> None:
    def looks(**columns: Any) -> str:
        table: Table = source.read(columns)
        return looks_like_series(table)

    assert "day" in looks(date=days(40), sales=list(range(40)))
    assert not looks(date=days(40), shop=["a", "b"] * 20, sales=list(range(40)))
    assert not looks(size=list(range(40)), sales=list(range(40)))
    assert not looks(date=sorted(days(10) * 4), sales=list(range(40)))
