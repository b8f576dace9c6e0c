"""Tables from end to end: which task it is, what is delivered and kept, and that a run answers as it was scored."""

import importlib.util

import numpy as np
import polars
import pytest

import engram
from engram.api.reading import choose_task
from engram.core.errors import ConfigError, DataError
from engram.core.rundir import RunDirectory
from engram.data import source

pytestmark = pytest.mark.slow

ROWS = 400


def houses(number=ROWS, *, seed=0):
    """Rooms, a district, when it was built (not always known), and what it costs, which hangs on all of these."""
    random = np.random.default_rng(seed)
    rooms, built = random.integers(1, 9, number), random.integers(1900, 2020, number).astype(object)
    district = random.choice(["north", "south", "centre"], number)
    built[random.random(number) < 0.2] = None
    age = np.array([60 if year is None else 2020 - year for year in built])
    price = 50_000 * rooms * np.where(district == "centre", 2, 1) - 500 * age + random.normal(0, 10_000, number)
    columns = {"rooms": rooms.tolist(), "district": district.tolist(), "built": built.tolist()}
    return {**columns, "price": price.round().tolist()}


def task_of(data, **options):
    return choose_task(source.read(data, target=options.get("target")), task=None, **options)[0].name


def test_a_target_decides_what_is_learned():
    table = houses()
    dear = ["dear" if price > 300_000 else "cheap" for price in table["price"]]
    assert task_of(table, target="price") == "table_regression"
    assert task_of(table, target="district") == "table_classification"
    assert task_of(table, target="rooms") == "table_classification"  # few whole numbers
    assert task_of({**table, "label": dear}) == "table_classification"
    assert task_of({**table, "labels": [[one, "house"] for one in dear]}) == "table_tagging"
    with pytest.raises(DataError, match="--target price"):
        task_of(table)


def test_a_text_with_a_label_stays_a_text_until_many_columns_stand_beside_it():
    said = [f"this house number {row} is large and {'fine' if row % 2 else 'dull'}" for row in range(ROWS)]
    label = ["good" if row % 2 else "bad" for row in range(ROWS)]
    assert task_of({"text": said, "label": label}) == "text_classification"
    assert task_of({"id": list(range(ROWS)), "text": said, "label": label}) == "text_classification"
    assert task_of({**houses(), "text": said, "label": label}) == "table_classification"
    assert task_of({**houses(), "text": said}, target="price") == "table_regression"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "houses"
    engram.train(houses(), target="price", steps=60, out=out, device="cpu")
    return out


def test_numbers_are_delivered_with_intervals_and_kept(run):
    record = RunDirectory(run).read_run()
    scores = record["results"]["test"]
    assert scores["metrics"].keys() == {"rmse", "mae", "r2", "mse", "coverage", "interval_width"}
    assert scores["floors"].keys() == {"mean_value", "linear_on_record", "boosted_trees"}
    assert scores["metrics"]["r2"]["value"] > 0.8 > scores["floors"]["mean_value"]["r2"]["value"]
    assert scores["against_floors"]["mean_value"]["verdict"] == "better"
    assert record["competed"]["chosen"] in ("network", "floor", "blend")
    kept = polars.read_parquet(run / "predictions.parquet")
    own = ["row", "where", "digest", "split", "label", "predicted", "low", "high", "unfamiliarity"]
    assert [name for name in kept.columns if not name.startswith("trait ")] == own
    assert set(kept["split"]) == {"val", "test"}
    assert ((kept["low"] <= kept["predicted"]) & (kept["predicted"] <= kept["high"])).all()


def test_a_run_answers_as_it_was_scored(run):
    kept = polars.read_parquet(run / "predictions.parquet").filter(polars.col("split") == "test")
    table = houses()
    rows = [{name: values[row] for name, values in table.items() if name != "price"} for row in kept["row"]]
    answers = engram.predict(run, rows)
    for ours, theirs in (("value", "predicted"), ("low", "low"), ("high", "high")):
        assert np.allclose([answer[ours] for answer in answers], kept[theirs].to_numpy(), rtol=1e-3)
    wide = engram.predict(run, rows[0], level=0.95)[0]
    assert wide["low"] < answers[0]["low"] < answers[0]["high"] < wide["high"]
    assert wide["value"] == answers[0]["value"]
    with pytest.raises(ConfigError, match="between 0 and 1"):
        engram.predict(run, rows[0], level=80)


def test_new_rows_are_scored_with_their_floors(run):
    found = engram.evaluate(run, houses(200, seed=1), target="price")
    assert found["num_examples"] == 200
    assert 0.65 < found["metrics"]["coverage"]["value"] < 0.95
    assert found["metrics"]["rmse"]["low"] < found["metrics"]["rmse"]["value"] < found["metrics"]["rmse"]["high"]


def test_the_report_shows_numbers(run):
    page = (run / "report.html").read_text()
    assert "How far off it is" in page and "nine in ten by at most" in page
    assert "always the mean" in page and "The worst mistakes" in page
    assert "root mean squared error" in (run / "README.md").read_text()


def test_without_lightgbm_its_trees_are_named_as_not_compared(run, tmp_path, monkeypatch, capsys):
    known = importlib.util.find_spec
    absent = {"lightgbm"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in absent else known(name, *rest))
    engram.train(houses(200), target="price", steps=5, out=tmp_path / "run", device="cpu")
    assert "boosted_trees is not compared: lightgbm is not installed" in capsys.readouterr().err
    assert engram.evaluate(tmp_path / "run")["floors"].keys() == {"mean_value", "linear_on_record"}
    assert engram.predict(tmp_path / "run", {"rooms": 3, "district": "north", "built": None})[0]["value"] > 0


def test_two_runs_are_compared_by_their_errors(run, tmp_path):
    engram.train(houses(), target="price", steps=5, out=tmp_path / "run", device="cpu")
    compared = engram.compare(tmp_path / "run", run)["comparisons"]
    assert [one["metric"] for one in compared] == ["rmse", "mae", "r2", "mse"], "no model is better for its coverage"
    assert compared[0]["num_examples"] == 40
