"""Answers to many items, in a file: those of the predictor, in order, whole or not at all, gone on with."""

import numpy as np
import polars as pl
import pytest
import served
import tiny_run
from PIL import Image as Pictures

import engram
from engram.api import to_parquet
from engram.core.errors import ConfigError, EngramError
from engram.predict.predictor import Predictor

OWN = {"model": tiny_run.Net}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return served.make_run(tmp_path_factory.mktemp("runs") / "corners")


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(tiny_run.pictures(23, seed=8)[0]):
        Pictures.fromarray(picture).save(folder / f"{number:02}.png")
    (folder / "07.png").write_bytes(b"no picture")
    return sorted(folder.iterdir())


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(to_parquet, "CHUNK", 5)


def test_answers_are_the_predictors_in_order(run, files, tmp_path):
    out = tmp_path / "answers.parquet"
    kept = engram.predict(run, files, out=out, top=2, **OWN)
    assert (kept["rows"], kept["unread"]) == (23, 1)
    frame, expected = pl.read_parquet(out), engram.predict(run, files, top=2, **OWN)
    assert frame["row"].to_list() == list(range(23))
    assert frame["input"].to_list() == [str(path) for path in files]
    for name in ("label", "probability", "unfamiliar", "error"):
        assert frame[name].to_list() == [answer.get(name) for answer in expected]
    pairs = frame["probabilities"].to_list()[0]
    assert {pair["name"]: pair["value"] for pair in pairs} == expected[0]["probabilities"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_command_goes_on(run, files, tmp_path, monkeypatch):
    out = tmp_path / "answers.parquet"
    whole, computed = to_parquet._frame, []
    monkeypatch.setattr(to_parquet, "_frame", lambda answers, first: _until(answers, first, whole, 15))
    with pytest.raises(KeyboardInterrupt):
        engram.predict(run, files, out=out, **OWN)
    assert not out.exists()
    monkeypatch.setattr(
        to_parquet, "_frame", lambda answers, first: computed.append(first) or whole(answers, first=first)
    )
    assert engram.predict(run, files, out=out, **OWN)["rows"] == 23
    assert computed == [15, 20], "what was kept is not computed again"
    assert pl.read_parquet(out)["row"].to_list() == list(range(23))


def _until(answers, first, whole, stop):
    if first == stop:
        raise KeyboardInterrupt
    return whole(answers, first=first)


def test_other_options_or_files_begin_anew(run, files, tmp_path, monkeypatch):
    out = tmp_path / "answers.parquet"
    whole = to_parquet._frame
    monkeypatch.setattr(to_parquet, "_frame", lambda answers, first: _until(answers, first, whole, 10))
    with pytest.raises(KeyboardInterrupt):
        engram.predict(run, files, out=out, top=1, **OWN)
    monkeypatch.setattr(to_parquet, "_frame", whole)
    engram.predict(run, files, out=out, top=3, **OWN)
    assert {len(pairs) for pairs in pl.read_parquet(out)["probabilities"].drop_nulls().to_list()} == {3}


def test_what_cannot_be_kept_is_refused_before_anything_is_computed(run, tmp_path, monkeypatch):
    (tmp_path / "there.parquet").touch()
    monkeypatch.setattr(Predictor, "stream", lambda *a, **k: pytest.fail("it answered"))
    picture = np.zeros((16, 16), np.uint8)
    for name, said in (("answers.csv", "parquet"), ("there.parquet", "not there yet"), ("no/a.parquet", "folder")):
        with pytest.raises(ConfigError, match=said):
            engram.predict(run, [picture], out=tmp_path / name, **OWN)
    with pytest.raises(EngramError, match=r"got none|there are none"):
        engram.predict(run, [], out=tmp_path / "none.parquet", **OWN)
