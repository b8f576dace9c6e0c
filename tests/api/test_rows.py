"""Rows of a table, from one's own file to answers: every form of a row gets the same one; what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import engram
from engram.core import events
from engram.core.errors import DataError

ROW = {"size": 1.5, "colour": "red", "built": "2021-03-04", "note": "a red thing of some size"}
HEADER = ("number", "size", "colour", "built", "note", "kind")


def lines(number: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    found = []
    for n in range(number):
        size, colour = round(float(random.normal()), 3), str(random.choice(["red", "green", "blue"]))
        kind = "big" if size + (colour == "red") > 0.3 else "small"
        day = f"202{n % 4}-0{1 + n % 9}-1{n % 9}"
        found.append(f"{n},{'' if n % 17 == 0 else size},{colour},{day},a {colour} thing of some size {n},{kind}")
    return found


def write(path: Path, rows: list[str], header: tuple[str, ...] = HEADER) -> Path:
    path.write_text("\n".join([",".join(header), *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    engram.train(write(folder / "t.csv", lines(300, 0)), target="kind", steps=20, size="small", out=folder / "run")
    return folder / "run"


def test_every_form_of_a_row_gets_the_same_answer(run, tmp_path):
    text = ",".join(map(str, ROW.values()))
    table = write(tmp_path / "u.csv", [text, text], tuple(ROW))
    forms: list[Any] = [
        ROW, [ROW, ROW], json.dumps(ROW), json.dumps([ROW]), str(table), polars.DataFrame([ROW, ROW]),
        {"number": 7, "size": " 1.5 ", **{k: v for k, v in ROW.items() if k != "size"}},
    ]  # fmt: skip
    answers = [engram.predict(run, form) for form in forms]
    answers += [engram.predict(run, "-", stdin=stdin) for stdin in ([json.dumps(ROW)] * 2, [",".join(ROW), text])]
    predictor = engram.load(run)
    answers += [[predictor.predict(ROW)], predictor.predict(polars.DataFrame([ROW, ROW]))]
    assert [len(each) for each in answers] == [1, 2, 1, 1, 2, 2, 1, 2, 1, 1, 2]
    assert {round(answer["probability"], 5) for each in answers for answer in each} == {
        round(answers[0][0]["probability"], 5)
    }
    json.dumps(answers)


def test_missing_columns_are_named_and_unknown_ones_ignored_with_a_note(run, tmp_path):
    rest = {name: value for name, value in ROW.items() if name != "size"}
    assert "label" in engram.predict(run, rest)[0]  # training rows lacked it too
    assert "a value for built, note" in engram.predict(run, {"size": 1, "colour": "red"})[0]["error"]
    told: list[dict[str, Any]] = []
    with events.listening(told.append):
        assert "label" in engram.predict(run, json.dumps({**ROW, "extra": 3}))[0]
    assert any("ignored: extra" in event.get("message", "") for event in told)
    with pytest.raises(DataError, match="a value for built, note"):
        engram.predict(run, str(write(tmp_path / "u.csv", ["1,red"], ("size", "colour"))))
    with pytest.raises(DataError, match=r"no file nothing\.csv"):
        engram.predict(run, "nothing.csv")
    with pytest.raises(DataError, match="an object with a value for each column"):
        engram.predict(run, "[1, 2]")


def test_other_tables_are_scored_and_answered_for_labelled_or_not(run, tmp_path):
    given = lines(80, 1)
    table = write(tmp_path / "more.csv", given)
    scores = engram.evaluate(run, table)
    assert scores["num_examples"] == 80 and scores["metrics"]["accuracy"]["value"] > 0.6
    answers = engram.predict(run, str(write(tmp_path / "bare.csv", [r.rpartition(",")[0] for r in given], HEADER[:-1])))
    right = [answer["label"] == row.rpartition(",")[2] for answer, row in zip(answers, given, strict=True)]
    assert np.mean(right) == pytest.approx(scores["metrics"]["accuracy"]["value"])


def test_inspection_tells_what_columns_are(run, tmp_path):
    found = engram.inspect(write(tmp_path / "t.csv", lines(100, 2)), target="kind", columns=["colour=ignore"])
    table = {row["column"]: row for row in found.summary["values"]["record"]["table"]}
    assert {name: row["kind"] for name, row in table.items()} == {
        "number": "left out", "size": "number", "colour": "left out", "built": "date", "note": "text",
    }  # fmt: skip
    assert table["size"]["missing"] == "6.0%" and table["colour"]["why"] == "left out, as asked"
    json.dumps(found.as_dict())
