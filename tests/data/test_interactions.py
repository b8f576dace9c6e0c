"""Interactions become histories; what is odd about them is mended and said, or refused with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram.core.errors import ConfigError, DataError
from engram.data import interactions, source
from engram.data.histories import Histories
from engram.data.moments import seconds
from engram.data.table import Table
from engram.tasks.rating_prediction import RatingPrediction
from engram.tasks.recommendation import Recommendation


def table(rows: list[tuple[Any, ...]], *names: str) -> Table:
    return source.read({name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)})


def made(number: int = 200, **columns: Any) -> Table:
    """Ten users who go through twenty items in the order of time."""
    rows = [(f"u{row % 10}", row * 7 % 20, 1 + row % 5, 10**9 + row) for row in range(number)]
    given = table(rows, "userId", "movieId", "rating", "timestamp")
    given.columns |= source.read({**columns}).columns if columns else {}
    return given


def histories(arranged: Table) -> Histories:
    return arranged.columns["history"].values  # type: ignore[return-value]


def kinds(arranged: Table) -> set[str]:
    return {finding.kind for finding in arranged.findings}


def test_columns_are_found_by_name_and_divided_by_time() -> None:
    given = made()
    found = interactions.find(given)
    assert found.columns == {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
    assert Recommendation().matches(given).score > 0.9
    arranged = interactions.arranged(given)
    own = histories(arranged)
    assert len(own) == 10 and len(own.catalogue) == 20
    assert all((np.diff(own.time[a:b]) > 0).all() for a, b in zip(own.begins, own.begins[1:], strict=False))
    first = own.side[: own.begins[1]]
    assert first.tolist() == [0, 1] or first.tolist() == sorted(first.tolist()), "learned first, asked last"


def test_what_is_asked_decides_between_ranking_and_rating() -> None:
    given = made()
    asked = interactions.find(given)
    given.targets = ("rating",)
    assert RatingPrediction().matches(given).score >= 0.95
    assert not Recommendation().matches(given)
    given.targets = ("timestamp",)
    assert not RatingPrediction().matches(given) and asked.evidence


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["good film", "bad film"] * 50, "label": ["a", "b"] * 50},
        {"customer": [f"c{n}" for n in range(100)], "product": [n % 5 for n in range(100)], "price": list(range(100))},
        {"width": [n / 7 for n in range(100)], "height": [n / 3 for n in range(100)], "species": ["x", "y"] * 50},
    ],
)
def test_other_tables_are_not_taken_for_interactions(columns: dict[str, Any]) -> None:
    assert Recommendation().matches(source.read(columns)).score < 0.5


@pytest.mark.parametrize(("name", "separator"), [("ratings.dat", "::"), ("u.data", "\t"), ("ratings.csv", ",")])
def test_a_file_without_a_header(tmp_path: Path, name: str, separator: str) -> None:
    lines = [separator.join(map(str, (row % 10, row * 7 % 20, 1 + row % 5, 10**9 + row))) for row in range(200)]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    given = source.read(tmp_path / name)
    assert Recommendation().matches(given).score >= 0.9
    assert len(histories(interactions.arranged(given))) == 10


def test_roles_can_be_named() -> None:
    given = made()
    given.columns = {{"userId": "who", "movieId": "what"}.get(n, n): c for n, c in given.columns.items()}
    with pytest.raises(ConfigError, match="--input USER --input ITEM"):
        interactions.arranged(given)
    assert len(histories(interactions.arranged(given, inputs=["who", "what"]))) == 10


def test_the_catalogue_is_joined_by_its_key(tmp_path: Path) -> None:
    rows = "\n".join(f"u{row % 10},{row * 7 % 20},{row}" for row in range(200))
    (tmp_path / "ratings.csv").write_text("userId,movieId,timestamp\n" + rows + "\n")
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n"
        + "\n".join(f'{n},"Film {n}, The (19{60 + n})",{("A|B", "B|C", "C|A")[n % 3]}' for n in range(22))
    )
    (tmp_path / "tags.csv").write_text("movieId,tag\n1,good\n1,bad\n")
    arranged = interactions.arranged(source.read(tmp_path / "ratings.csv"))
    catalogue = histories(arranged).catalogue
    assert len(catalogue) == 22, "items that only the table knows are items too"
    assert catalogue.columns["genres"][catalogue.number["3"]] == ["A", "B"]
    assert catalogue.columns["year"][catalogue.number["3"]] == ["1963"]
    assert catalogue.find("the film 3") == catalogue.number["3"]
    assert catalogue.parsed("Film 3, The (1963), 4") == ["Film 3, The (1963)", "4"]
    with pytest.raises(DataError, match="Did you mean 'Film 3, The"):
        catalogue.sure("Fim 3")


def test_a_folder_of_tables_is_read_by_the_one_that_says_who_took_what(tmp_path: Path) -> None:
    rows = "\n".join(f"u{row % 10},{row * 7 % 20},{1 + row % 5},{row}" for row in range(200))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows + "\n")
    (tmp_path / "movies.csv").write_text("movieId,title\n" + "\n".join(f"{n},Film {n}" for n in range(20)))
    (tmp_path / "tags.csv").write_text("userId,movieId,tag\nu1,1,good\n")
    own = histories(interactions.arranged(source.read(tmp_path)))
    assert len(own) == 10 and own.catalogue.title(own.catalogue.number["3"]) == "Film 3"


def test_tables_beside_interactions_without_a_header_join_by_what_they_call_their_key(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(
        "\n".join(f"{r % 10},{r * 7 % 20},{1 + r % 5},{r + 10**9}" for r in range(200))
    )
    (tmp_path / "films.csv").write_text("film,title\n" + "\n".join(f"{n},Film {n}" for n in range(20)))
    (tmp_path / "users.csv").write_text("id,job\n" + "\n".join(f"{n},{('nurse', 'clerk')[n % 2]}" for n in range(12)))
    (tmp_path / "links.csv").write_text("user,film,seen\n1,2,3\n")
    own = histories(interactions.arranged(source.read(tmp_path / "ratings.csv")))
    assert own.catalogue.title(own.catalogue.number["3"]) == "Film 3"
    assert own.people.columns["job"][own.people.number["3"]] == ["clerk"]
    (tmp_path / "links.csv").unlink()
    assert "ratings.csv says who took what" in source.read(tmp_path).notes[0]


def test_two_files_that_do_not_join(tmp_path: Path) -> None:
    rows = "\n".join(f"u{row % 10},{row * 7 % 20},{row}" for row in range(200))
    (tmp_path / "ratings.csv").write_text("userId,movieId,timestamp\n" + rows + "\n")
    (tmp_path / "movies.csv").write_text("movieId,title\n" + "\n".join(f"tt{n},Film {n}" for n in range(20)))
    arranged = interactions.arranged(source.read(tmp_path / "ratings.csv"))
    assert "no_join" in kinds(arranged) and not histories(arranged).catalogue.titles
    (tmp_path / "movies.csv").write_text("movieId,title\n3,Film 3\n" + "\n".join(f"{n},Film {n} b" for n in range(20)))
    arranged = interactions.arranged(source.read(tmp_path / "ratings.csv"))
    catalogue = histories(arranged).catalogue
    assert "repeated_items" in kinds(arranged) and catalogue.title(catalogue.number["3"]) == "Film 3"


def test_odd_rows_are_mended_or_left_out_and_said() -> None:
    rows = [(f"u{row % 10}", f"i{row * 7 % 20}", 1 + row % 5, 10**9 + 1000 * (row % 50)) for row in range(1000)]
    rows += [("once", "i1", 3, 10**9), (None, "i1", 3, 10**9), ("u1", "i1", 999, 10**9 + 1)]
    arranged = interactions.arranged(table(rows, "user", "item", "rating", "time"))
    assert {"missing_id", "out_of_scale", "single_interaction", "repeated"} <= kinds(arranged)
    own = histories(arranged)
    user = np.repeat(np.arange(len(own)), np.diff(own.begins))
    assert len(np.unique(np.stack([user, own.item]), axis=1).T) == len(user), "one interaction of each pair is left"
    assert own.rating.max() == 5


def test_items_that_only_the_test_has_are_named() -> None:
    rows = [(f"u{u}", f"i{n}" if n < 8 else f"only{u}", n) for u in range(10) for n in range(10)]
    arranged = interactions.arranged(table(rows, "user", "item", "time"))
    assert "only_in_test" in kinds(arranged)


def test_counts_are_implicit_and_steps_are_ratings() -> None:
    plays = made(plays=[1 + row * row for row in range(200)])
    plays.columns.pop("rating")
    assert any("implicit" in note for note in interactions.arranged(plays).notes)
    assert any("explicit" in note and "1 to 5" in note for note in interactions.arranged(made()).notes)


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        ([1_000_000_000, 1_000_000_001_000, 1_000_000_002], [1e9, 1e9 + 1, 1e9 + 2], "mixed_units"),
        (["2001-09-09T01:46:40Z", "2001-09-09T03:46:41+02:00"], [1e9, 1e9 + 1], "mixed_zones"),
        (["2001-09-09", "2001-09-10"], [999_993_600, 1_000_080_000], None),
        (["2001-09-09 01:46:40", "no time"], [1e9, np.nan], None),
        ([3, 1, 2], [3, 1, 2], None),
    ],
)
def test_times_are_brought_to_seconds(values: list[Any], expected: list[float], kind: str | None) -> None:
    found, findings = seconds(values, "time")
    np.testing.assert_allclose(found, expected)
    assert [finding.kind for finding in findings] == ([kind] if kind else [])


def test_nothing_to_choose_by_is_an_error() -> None:
    rows = [(f"u{n}", f"i{n % 3}", n) for n in range(30)]
    with pytest.raises(DataError, match="5 interactions or more"):
        examples_of(interactions.arranged(table(rows, "user", "item", "time")))


def examples_of(arranged: Table) -> Any:
    from engram.data import store
    from engram.data.examples import Examples
    from engram.features.history import History

    column = arranged.columns["history"]
    feature = History.survey(column)
    stored = store.prepare(column, feature)
    feature.fit(stored, np.arange(len(column)))
    rows = dict.fromkeys(("train", "val", "test"), np.arange(len(column)))
    return Recommendation().examples(Examples({"history": feature}, {"history": stored}, rows))


def test_examples_hold_what_comes_before_and_want_what_comes_after() -> None:
    rows = [(f"u{u}", f"i{n:02}", n) for u in range(6) for n in range(20)]
    examples = examples_of(interactions.arranged(table(rows, "user", "item", "time")))
    batch = {name: examples.batch(examples.splits[name][:1]) for name in ("train", "val", "test")}
    history = {name: b.history[0, :, 0].long().tolist() for name, b in batch.items()}
    assert history["train"] == list(range(1, 14)) and batch["train"].wanted.tolist() == [[14]]
    assert history["val"] == list(range(1, 15)) and batch["val"].wanted.tolist() == [[15, 16]]
    assert history["test"] == list(range(1, 17)) and batch["test"].wanted.tolist() == [[17, 18, 19, 20]]
