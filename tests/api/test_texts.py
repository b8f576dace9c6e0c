"""A run on texts by way of the verbs: what is delivered, how texts are given, what their words do, the page."""

import json
import re

import pytest
import torch
from click.testing import CliRunner

import engram
from engram.cli import cli
from engram.core.claim import log_odds
from engram.core.errors import DataError
from engram.explain.attribution import occlusion
from engram.explain.question import asked
from engram.predict.opening import floors_of
from engram.tasks._texts import text_sample

pytestmark = pytest.mark.slow

TEXTS = ["we saw the horse by the old hammer", "a bowl of soup", "<b>trout</b> & wolf 🙂"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    engram.train(text_sample(multilabel=False).data, out=folder / "run", steps=40, device="cpu")
    return folder / "run"


@pytest.fixture(scope="module")
def facts(run):
    return json.loads((run / "run.json").read_text())


def test_what_is_delivered_is_said_beside_what_its_parts_reach(run, facts):
    competed = facts["competed"]
    assert facts["task"] == "text_classification"
    assert competed["floor"] == "linear_on_text"
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    done = events[-1]
    assert done["event"] == "done"
    assert done["delivered"].startswith("Delivered is ")
    if competed["chosen"] != "network":
        assert facts["delivered"]["floor"] == "linear_on_text"
        assert facts["delivered"]["share_of_network"] == pytest.approx(competed["share"])
        assert done["network"]["accuracy"]["value"] == facts["results"]["test"]["network"]["accuracy"]["value"]


def test_it_is_never_below_the_floor_beyond_noise(facts):
    for result in facts["results"].values():
        assert result["against_floors"]["linear_on_text"]["verdict"] != "worse"


def test_texts_are_typed_or_stand_in_files(run, tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join([*TEXTS[:2], "", TEXTS[2]]))
    (tmp_path / "table.csv").write_text('id,text\n1,"' + '"\n2,"'.join(TEXTS) + '"\n')
    (tmp_path / "folder").mkdir()
    for number, text in enumerate(TEXTS):
        (tmp_path / "folder" / f"{number}.txt").write_text(text)
    typed = engram.predict(run, TEXTS)
    assert [answer["input"] for answer in typed] == TEXTS
    for name in ("lines.txt", "table.csv", "folder"):
        assert engram.predict(run, str(tmp_path / name)) == typed, name
    assert engram.predict(run, "-", stdin=[f"{text}\n" for text in [*TEXTS, " "]]) == typed


def test_a_missing_file_is_not_taken_for_a_text(run):
    with pytest.raises(DataError, match=r"echo 'lines.txt' \| engram predict"):
        engram.predict(run, "lines.txt")
    assert "label" in engram.predict(run, "not lines.txt")[0]


def test_an_empty_text_has_an_error_in_place_of_an_answer(run):
    answers = engram.predict(run, ["", "horse"])
    assert "empty" in answers[0]["error"]
    assert answers[1]["label"] == "animal"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_explained_in_the_terminal(run, options):
    result = CliRunner().invoke(cli, ["predict", str(run), "we saw the horse", "soup", "--explain", *options])
    assert result.exit_code == 0, result.output
    if not options:
        assert re.search(r"What animal hangs on \(log-odds\): horse \+\d", result.output)
        return
    first, second = (json.loads(line) for line in result.output.splitlines())
    words = {part["part"]: part["influence"] for part in first["parts"]}
    assert first["explains"] == "animal"
    assert max(words, key=words.get) == "horse"
    assert [part["start"] for part in first["parts"]] == [0, 3, 7, 11]
    assert [part["part"] for part in second["parts"]] == ["soup"]
    assert first["without"] == ["horse"]
    assert first["answer_without"] != "animal"


def test_pages_of_explanations(run, tmp_path):
    command = ["explain", str(run), "we saw the horse", "", "--out", str(tmp_path / "why"), "--json"]
    told = json.loads(CliRunner().invoke(cli, command).output)
    assert told["answers"][0]["explains"] == "animal" and "error" in told["answers"][1]
    assert told["files"] == [told["page"]] and "horse" in (tmp_path / "why" / "index.html").read_text()
    page = engram.explain(run, seconds=20).page
    assert page == engram.load(run).run / "explain.html"
    text = page.read_text()
    for said in ("Words that it holds alike", "How the answer takes shape", "random order", "typing errors"):
        assert said in text


def test_influence_on_the_linear_floor_is_what_its_weights_say(run):
    predictor = engram.load(run)
    floor = floors_of(run, predictor.task, predictor.features)["linear_on_text"]
    text = "the old horse saw bread"
    question = asked(predictor, text, module=floor)
    number = predictor.by_role.label.names.index(question.answer)
    for word, influence in zip(question.parts.names, occlusion(question), strict=True):
        rest = " ".join(other for other in text.split() if other != word)
        places = [set(floor.places(predictor.encode([each]).text)[0].tolist()) for each in (text, rest)]
        lost, won = (sorted(a - b - {0}) for a, b in (places, places[::-1]))
        change = floor.weight[lost].sum(0) - floor.weight[won].sum(0)
        with_it = floor(predictor.encode([text]).text).double()
        expected = (log_odds(with_it) - log_odds(with_it - change))[0, number]
        assert influence == pytest.approx(expected.item(), abs=1e-3)


def test_the_page_shows_texts(run):
    page = (run / "report.html").read_text()
    assert "Why this answer" in page
    assert "Words that speak for each class" in page
    assert "picture" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for animal in ("horse", "sparrow", "trout", "badger", "wolf"):
        assert animal in page
    assert "the network alone" in (run / "README.md").read_text() or "delivered" not in (run / "README.md").read_text()


def test_a_run_says_the_same_when_it_is_opened_again(run):
    import polars

    kept = polars.read_parquet(run / "predictions.parquet").filter(polars.col("split") == "test")
    texts = [text_sample(multilabel=False).data[0][row] for row in kept["row"]]
    answers = engram.predict(run, texts)
    assert [answer["label"] for answer in answers] == kept["predicted"].to_list()
    said = torch.tensor([answer["probability"] for answer in answers])
    assert torch.allclose(said, torch.tensor(kept["probability"].to_list()), atol=1e-4)


def test_wrong_labels_of_texts_are_found_by_the_floor():
    texts, labels = text_sample(multilabel=False).data
    wrong = list(range(0, 400, 40))
    for row in wrong:
        labels[row] = "tool" if labels[row] != "tool" else "food"
    found = {finding.kind: finding for finding in engram.inspect((texts, labels), thorough=True).findings}
    doubted = {fix.row for fix in found["doubtful_labels"].fixes}
    assert len(doubted & set(wrong)) >= 9
    assert len(doubted) <= 15
