"""The report and the model card: complete, safe, and honest about what they lack."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_run
from PIL import Image
from torch import nn

from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.explain import kept as keeping
from engram.explain.question import asked
from engram.explain.why import why
from engram.predict.predictor import load
from engram.report import build, explained
from engram.tasks.image_tagging import ImageTagging

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Reads a page and keeps what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = report_run.make(tmp_path_factory.mktemp("report") / "run")
    build(run)
    return run


@pytest.fixture(scope="module")
def html(run: RunDirectory) -> str:
    return (run / "report.html").read_text("utf-8")


def test_the_page_is_well_formed_and_small(run: RunDirectory, html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert (run / "report.html").stat().st_size < 3e6


def test_nothing_is_asked_of_the_network(html: str) -> None:
    for tag, attributes in Page(html).tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data"):
            if (value := attributes.get(name)) is not None:
                saved = tag == "a" and "download" in attributes and value.startswith("data:text/csv")
                assert saved or value.startswith(("data:image/", "#")), (tag, value[:80])
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


def test_names_never_become_markup(html: str) -> None:
    assert "<script" not in html and "<img src=x" not in html and "<b>120" not in html and "<i>pictures" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not [name for _, attributes in Page(html).tags for name in attributes if name.startswith("on")]


def test_every_picture_has_its_sentence(html: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", html, flags=re.DOTALL)
    assert len(figures) > 10
    for figure in figures:
        assert (caption := re.search(r"<figcaption>(.*?)</figcaption>", figure, flags=re.DOTALL)), figure[:200]
        assert "<pre>" in figure or caption.group(1).rstrip().endswith(".") or "engram train" in caption.group(1)
    assert all(attributes.get("alt") for tag, attributes in Page(html).tags if tag == "img")


def test_all_sections_are_there(html: str) -> None:
    keys = [attributes["id"] for tag, attributes in Page(html).tags if tag == "section"]
    assert keys == [
        "result", "data", "network", "example", "units", "depth", "why", "training", "errors", "calibration",
        "trust", "use",
    ]  # fmt: skip
    for words in ("The loss is", "Stage 1", "Backward", "stated confidence", "95 % interval", "because"):
        assert words in html


def test_the_model_card_says_scores_floors_and_limits(run: RunDirectory) -> None:
    card = (run / "README.md").read_text("utf-8")
    assert "accuracy" in card and "always the commonest answer: 25.0" in card
    assert "<script" not in card and "a\\|b" in card
    assert "weakest for" in card and "engram predict" in card and "beware of" in card


def test_building_again_gives_the_same_page(run: RunDirectory) -> None:
    first, again = (build(str(run), seconds=100.0).read_text("utf-8") for _ in range(2))
    assert re.sub(r"in [\d.]+ s\.", "", again) == re.sub(r"in [\d.]+ s\.", "", first)


def test_without_pictures_the_sections_say_so(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", names=["a", "b"])
    (run / "examples.safetensors").unlink()
    html = build(run).read_text("utf-8")
    assert "the run keeps no pictures" in html and "because the run keeps no examples" in html
    assert "stated confidence" in html


def test_without_events_or_answers_it_still_says_the_result(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", names=["a", "b"])
    for name in ("metrics.jsonl", "predictions.parquet"):
        (run / name).unlink()
    html = build(run, seconds=0.1).read_text("utf-8")
    assert "keeps no record of its steps" in html and "95 % interval" in html


def test_what_was_decided_while_training_is_told(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", names=["a", "b"])
    run.write_lines("decisions.jsonl", [{"step": 3, "decision": "rollback", "to": 3, "message": "At step 3 it <b>."}])
    assert "At step 3 it &lt;b&gt;." in build(run, seconds=0.1).read_text("utf-8")


def test_several_labels_a_picture(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", task=ImageTagging(), names=["up", "left", "down", "right"], channels=3)
    html = build(run).read_text("utf-8")
    assert Page(html).open == []
    assert "mean average precision" in html and "any number of 4 labels" in html and 'class="confusion' not in html
    assert "up" in (run / "README.md").read_text("utf-8")


class Plain(nn.Module):
    """A network of the user's own without convolutions."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.hidden = nn.Linear(256, 12)
        self.head = nn.Linear(12, num_classes)

    def forward(self, x):
        return self.head(nn.functional.relu(self.hidden(x.flatten(1))))


def test_a_network_of_the_users_own(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", names=["a", "b", "c"], network=Plain())
    closed = build(run).read_text("utf-8")
    assert "could not be opened" in closed and "Where it errs" in closed
    opened = build(run, predictor=load(run, model=Plain)).read_text("utf-8")
    assert "no convolutions" in opened and "relu" in opened and "The loss is" in opened


def test_a_run_that_is_still_training(tmp_path: Path) -> None:
    run = report_run.make(tmp_path / "run", names=["a", "b"])
    run.update_run(results={}, status="training")
    assert "holds no scores yet" in build(run).read_text("utf-8")


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected the folder of a trained run"):
        build(tmp_path / "nowhere")


def test_the_page_of_explanations(run: RunDirectory) -> None:
    html = explained.of_run(run, seconds=60.0).read_text("utf-8")
    page = Page(html)
    assert page.open == [] and (run / "explain.html").stat().st_size < 10e6
    keys = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert keys == ["network", "units", "depth", "example", "why", "errors", "calibration", "trust"]
    assert "shuffled pixels" in html and "learned from that the network holds closest" in html
    assert "Are these explanations to be believed?" in html and "The filters of the first layer" in html
    assert "<script" not in html and "<img src=x" not in html
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_pages_of_inputs_with_hostile_names(run: RunDirectory, tmp_path: Path) -> None:
    predictor = load(run)
    kept = keeping.read(run)
    assert kept is not None
    found = [('"><script>alert(1)</script>.png', kept.values[0], why(asked(predictor, kept.values[0])))]
    page, heat = explained.of_inputs(predictor, found, tmp_path / "why")
    html = page.read_text("utf-8")
    assert Page(html).open == [] and "<script" not in html and "&lt;script&gt;alert(1)" in html
    with Image.open(heat) as picture:
        assert picture.format == "PNG" and min(picture.size) >= 160
