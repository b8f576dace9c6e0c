"""Translation from parallel lines to a filter: a short training, and what it answers to lines of every kind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import engram
from engram.core.errors import ConfigError
from engram.core.rundir import RunDirectory
from engram.data.table import Column, Table
from engram.evaluate import written
from engram.tasks.translation import Translation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    data = Translation.sample().data
    parallel = folder / "parallel"
    parallel.mkdir()
    for language, role in (("en", "source"), ("de", "target")):
        (parallel / f"train.{language}").write_text("\n".join(data[role]) + "\n", encoding="utf-8")
    engram.train(parallel, input="en", target="de", steps=8, out=folder / "run", device="cpu")
    return folder / "run"


def typed(run, *words, lines=""):
    command = [sys.executable, "-m", "engram", "predict", str(run), *words]
    return subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8")


def test_lines_are_answered_by_lines(run):
    lines = ["two four.", "", "   ", "λόγος 狗 \U0001f600", "six " * 300, "one.", "two four."]
    finished = typed(run, "-", "--beam", "2", "--longest", "12", lines="\n".join(lines) + "\n")
    assert finished.returncode == 0, finished.stderr
    answers = finished.stdout.split("\n")
    assert len(answers) == len(lines) + 1 and answers[-1] == ""
    assert answers[1] == answers[2] == "" and answers[0] == answers[6]


def test_a_file_of_lines_is_answered_as_stdin_is(run, tmp_path):
    (tmp_path / "test.en").write_text("three one.\r\n\r\nfour.\u2028five.", encoding="utf-8", newline="")
    answers = [json.loads(line) for line in typed(run, str(tmp_path / "test.en"), "--json").stdout.split("\n")[:-1]]
    assert [answer["input"] for answer in answers] == ["three one.", "", "four.\u2028five."]
    assert answers[1]["translation"] == ""


def test_options_are_those_of_the_task(run):
    shown = typed(run, "--help").stdout
    assert "--beam" in shown and "--length-penalty" in shown
    assert "--beam" not in typed("nowhere", "--help").stdout
    with pytest.raises(ConfigError, match="beam"):
        engram.predict(run, ["one"], beams=3)
    one = engram.predict(run, ["one two three."], beam=1, longest=1)
    assert one[0]["translation"] == ""


def test_many_lines_keep_their_order(run):
    lines = Translation.sample().data["source"]
    together = engram.predict(run, lines[:300], beam=1, longest=6)
    alone = engram.predict(run, [lines[0], lines[299]], beam=1, longest=6)
    assert [together[0], together[299]] == alone
    assert [answer["input"] for answer in together] == lines[:300]


def test_what_was_written_is_kept_and_shown(run):
    frame = written.read(RunDirectory(run))
    assert frame is not None and set(frame["split"]) == {"val", "test"} and frame["chrf"].max() <= 100
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "What it writes" in page and "tok:13a" in page
    scores = engram.evaluate(run)
    assert set(scores["metrics"]) == {"bleu", "chrf"} and set(scores["floors"]) == {"copy_source", "nearest_source"}


def test_a_direction_that_is_not_said_is_asked_for():
    numbers = range(100, 180)
    table = {
        "en": [f"the number {n} is an odd one." for n in numbers],
        "de": [f"die Zahl {n} ist ungerade." for n in numbers],
    }
    with pytest.raises(ConfigError, match="--source en"):
        engram.train(table, steps=1)


def test_it_is_told_from_other_tasks_by_two_columns_of_texts():
    texts = [f"sentence number {n} of these." for n in range(50)]
    columns = {name: Column(name, texts, "text") for name in ("en", "de")}
    label = Column("label", ["a", "b"] * 25, "text")
    assert Translation().matches(Table(columns, "memory", "")).score > 0.9
    assert not Translation().matches(Table({"en": columns["en"], "label": label}, "memory", ""))
