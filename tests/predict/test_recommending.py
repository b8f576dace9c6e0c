"""Recommending from a run: users, histories, what is like an item, conditions and reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import engram
from engram.cli import cli
from engram.core.errors import ConfigError, DataError

ITEMS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Users of two tastes, who take films of even or of odd numbers."""
    folder = tmp_path_factory.mktemp("films")
    random = np.random.default_rng(0)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(80):
        chosen = 1 + (user % 2) + 2 * random.permutation(ITEMS // 2)[:10]
        lines += [
            f"{user},{item},{3 + (user + place) % 3},{10**9 + 100 * user + place}" for place, item in enumerate(chosen)
        ]
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    genres = ("Comedy|Drama", "Drama|War", "War|Comedy")
    films = [f'{n},"Film {n}, The ({1960 + n})",{genres[n % 3]}' for n in range(1, ITEMS + 1)]
    tastes = ("even", "odd")
    people = [f"{user},{tastes[(user + 1) % 2]}" for user in range(80)] + ["1000,even", "1001,odd"]
    (folder / "users.csv").write_text("userId,taste\n" + "\n".join(people) + "\n")
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(films) + "\n")
    trained = engram.train(folder / "ratings.csv", steps=60, out=folder / "run", device="cpu")
    assert {"ndcg@10", "recall@20", "mrr"} <= trained.metrics.keys()
    assert {"popularity", "item_neighbours", "ease", "ease_by_recency"} == trained.floors.keys()
    yield trained.run


def numbers(answer: dict[str, Any]) -> list[int]:
    return [int(item["item"]) for item in answer["items"]]


def test_a_user_gets_what_is_new_with_reasons(run: str) -> None:
    answer = engram.recommend(run, user=4, k=5)
    feature = engram.load(run).by_role.history
    taken = {feature.catalogue.names[item] for item in feature.histories_of(["4"])[0]}
    assert answer["user"] == "4" and len(answer["items"]) == 5
    assert not taken & {item["item"] for item in answer["items"]}
    reasons = [reason["item"] for item in answer["items"] for reason in item["because"]]
    assert reasons and set(reasons) <= taken
    assert json.loads(json.dumps(answer)) == answer


def test_seen_items_on_request(run: str) -> None:
    feature = engram.load(run).by_role.history
    taken = set(feature.histories_of(["4"])[0].tolist())
    answer = engram.recommend(run, user=4, k=ITEMS, exclude_seen=False)
    assert len(answer["items"]) == ITEMS
    assert len(engram.recommend(run, user=4, k=ITEMS)["items"]) == ITEMS - len(taken)


def test_many_users_are_answered_as_each_alone(run: str) -> None:
    together = engram.recommend(run, user=[4, 5, 6], k=6)
    alone = [engram.recommend(run, user=user, k=6, because=False) for user in (4, 5, 6)]
    assert [numbers(one) for one in together] == [numbers(one) for one in alone]


def test_somebody_new_by_titles(run: str) -> None:
    answer = engram.recommend(run, history="The Film 3, Film 5, The (1965), 7", k=4)
    assert len(answer["items"]) == 4 and not {3, 5, 7} & set(numbers(answer))
    assert numbers(answer) == numbers(engram.recommend(run, history=["3", "5", "7"], k=4))
    assert numbers(engram.recommend(run, history=[["3", "5", "7"], ["2"]], k=4)[0]) == numbers(answer)
    assert len(engram.recommend(run, history="", k=3)["items"]) == 3, "of whom nothing is known"


def test_most_of_what_is_recommended_to_new_people_is_of_their_taste(run: str) -> None:
    random = np.random.default_rng(1)
    taken = [[1 + taste + 2 * n for n in random.permutation(ITEMS // 2)[:4]] for taste in (0, 1) for _ in range(20)]
    answers = engram.recommend(run, history=[[str(number) for number in one] for one in taken], k=4)
    fits = [number % 2 == one[0] % 2 for one, answer in zip(taken, answers, strict=True) for number in numbers(answer)]
    assert np.mean(fits) > 0.85


def test_a_user_whom_only_the_table_of_users_knows(run: str) -> None:
    even, odd = (engram.recommend(run, user=user, k=8) for user in (1000, 1001))
    assert sum(number % 2 == 0 for number in numbers(even)) > sum(number % 2 == 0 for number in numbers(odd)) + 3


def test_like_an_item(run: str) -> None:
    answer = engram.recommend(run, like="the film 3", k=5)
    assert answer["like"]["item"] == "3" and 3 not in numbers(answer)
    assert sum(number % 2 == 1 for number in numbers(answer)) >= 4


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ("genres=comedy", lambda n: n % 3 in (0, 2)),
        ("genres!=War", lambda n: n % 3 == 0),
        ("year>=1990", lambda n: n >= 30),
        ({"genres": "War", "year": "1971"}, lambda n: n == 11),
    ],
)
def test_conditions(run: str, where: Any, fits: Any) -> None:
    found = numbers(engram.recommend(run, user=2, k=ITEMS, where=where, exclude_seen=False))
    assert found and all(map(fits, found))


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"user": "nobody"}, DataError, "none called 'nobody'"),
        ({"history": "Flim 3"}, DataError, "Did you mean 'Film 3, The"),
        ({"like": "Flim 3"}, DataError, "Did you mean"),
        ({}, ConfigError, "one of a user, a history"),
        ({"user": 1, "like": "3"}, ConfigError, "one of a user, a history"),
        ({"user": 1, "k": 0}, ConfigError, "1 item or more"),
        ({"user": 1, "where": "genre=War"}, ConfigError, "did you mean 'genres'"),
        ({"user": 1, "where": "genres=Comdy"}, ConfigError, "did you mean 'Comedy'"),
        ({"user": 1, "where": "genres"}, ConfigError, "expected a condition"),
        ({"user": 1, "where": "year>=new"}, ConfigError, "expected a number"),
    ],
)
def test_mistakes_are_answered(run: str, asked: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        engram.recommend(run, **asked)


def test_the_command(run: str) -> None:
    shown = CliRunner().invoke(cli, ["recommend", run, "--user", "4", "-k", "3"])
    assert shown.exit_code == 0 and "because of" in shown.output and "Film" in shown.output
    report = (Path(run) / "report.html").read_text()
    assert "80 histories were read and each divided" in report and "240 users" not in report
    lines = CliRunner().invoke(cli, ["recommend", run, "--user", "4", "--user", "5", "--json"]).output.splitlines()
    assert [json.loads(line)["user"] for line in lines] == ["4", "5"]


def test_predict_and_evaluate_take_new_interactions(run: str, tmp_path: Path) -> None:
    rows = [f"new{user},{1 + user % 2 + 2 * place},{place}" for user in range(20) for place in range(10)]
    (tmp_path / "newer.csv").write_text("userId,movieId,timestamp\n" + "\n".join([*rows, "new1,unknown,99"]) + "\n")
    answers = engram.predict(run, str(tmp_path / "newer.csv"), k=3)
    assert len(answers) == 20 and all(len(answer["items"]) == 3 for answer in answers)
    (one,) = engram.predict(run, "Film 3, The (1963), 5")
    assert len(one["items"]) == 10
    scores = engram.evaluate(run, str(tmp_path / "newer.csv"))
    assert scores["num_examples"] == 20 and scores["metrics"]["recall@20"]["value"] > 0.6
