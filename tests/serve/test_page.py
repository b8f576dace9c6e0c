"""The page in a real browser: a drawing is classified, files are answered, texts go on as they are written."""

import contextlib
from pathlib import Path

import pytest
import served
import tiny_run
import writing_run

import engram
from engram.core.registry import find

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "corners": served.make_run(folder / "corners"),
        "plays": writing_run.make(folder / "plays", converses=False),
        "talk": writing_run.make(folder / "talk"),
    }


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@contextlib.contextmanager
def opened(browser, run, registry, *, own_network=False, **how):
    """A page on a server of its own; nothing may go wrong in it, and nothing may lead elsewhere."""
    with served.process([getattr(run, "path", run)], registry, own_network=own_network) as (_, url):
        page = browser.new_page(**how)
        wrong, asked = [], []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        yield page
        assert not wrong and all(address.startswith((url, "blob:", "data:")) for address in asked)
        page.close()


def test_a_drawing_is_classified(browser, runs, tmp_path):
    with opened(browser, runs["corners"], tmp_path, own_network=True) as page:
        page.locator("input[type=range]").fill("6")
        box = page.locator("canvas").bounding_box()
        for corner, (x, y) in {"top left": (0.25, 0.25), "bottom right": (0.75, 0.75)}.items():
            page.get_by_role("button", name="Clear").click()
            page.mouse.move(box["x"] + box["width"] * (x - 0.04), box["y"] + box["height"] * y)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * (x + 0.04), box["y"] + box["height"] * y, steps=4)
            page.mouse.up()
            page.locator("#answers .label", has_text=corner).wait_for()
        assert page.locator("#answers .bar").count() == 4 and page.locator("#answers img").count() == 1
        page.get_by_role("button", name="Why?").click()
        page.locator("#answers .over canvas").wait_for()


def test_files_are_answered_each_with_its_picture(browser, runs, tmp_path):
    pictures, labels = tiny_run.pictures(3, seed=4)
    files = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": served.png(picture)}
        for n, picture in enumerate(pictures)
    ]
    files.append({"name": "no.png", "mimeType": "image/png", "buffer": b"%PDF"})
    with opened(browser, runs["corners"], tmp_path, own_network=True, viewport={"width": 390, "height": 800}) as page:
        page.locator("input[type=file]").set_input_files(files)
        page.locator("#answers .failed").wait_for()
        assert page.locator("#answers .label").all_inner_texts() == labels
        assert page.locator("#answers .where").all_inner_texts() == ["0.png", "1.png", "2.png", "no.png"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone need not scroll sideways"


def trained(task, folder):
    """A run on a task's sample, after a few steps."""
    sample = find("engram.tasks", task, base="task").sample()
    how = {**(sample.options or {}), "steps": 5}
    return engram.train(sample.data, task=task, out=folder / task, device="cpu", **how).run


def test_a_row_is_filled_in_and_what_is_left_empty_is_missing(browser, tmp_path):
    run = trained("table_classification", tmp_path)
    expected = engram.load(run).predict({"size": 2.0, "weight": 2.0, "colour": None})
    with opened(browser, Path(run), tmp_path) as page:
        page.get_by_role("button", name="Empty all").click()
        page.get_by_label("size").fill("2")
        page.get_by_label("weight").fill("2")
        page.get_by_role("button", name="Answer").click()
        page.locator("#answers .label").wait_for()
        assert page.locator("#answers .label").inner_text() == expected["label"]


def test_items_are_picked_and_others_recommended(browser, tmp_path):
    run = trained("recommendation", tmp_path)
    with opened(browser, Path(run), tmp_path, viewport={"width": 390, "height": 800}) as page:
        known = page.locator("datalist option").nth(2).get_attribute("value")
        page.get_by_role("combobox", name="history").fill(known)
        page.keyboard.press("Enter")
        assert page.locator(".picked button").all_inner_texts() == [f"{known} ×"]
        page.get_by_role("button", name="Answer").click()
        page.locator("#answers .found li").first.wait_for()
        expected = engram.load(run).predict([[known]])[0]["items"]
        titles = [one.get("title", one["item"]) for one in expected]
        assert page.locator("#answers .found b").all_inner_texts() == titles


def test_a_forecast_is_drawn_after_what_was_given(browser, tmp_path):
    run = trained("forecast", tmp_path)
    predictor = engram.load(run)
    offered = predictor.features["series"].entry().details["offered"]
    with opened(browser, Path(run), tmp_path, viewport={"width": 390, "height": 800}) as page:
        page.get_by_label("Series").select_option("south")
        page.get_by_role("button", name="Answer").click()
        page.locator("#answers .course").wait_for()
        page.get_by_text("All steps").click()
        ends = predictor.features["series"].at_hand()
        expected = predictor.predict(next(end for end in ends if end.name == "south"))["forecast"]
        shown = page.locator("#answers table.steps tr").all_inner_texts()[1:]
        assert [line.split("\t")[0] for line in shown] == [step["time"] for step in expected]
        assert float(shown[0].split("\t")[1]) == pytest.approx(expected[0]["value"], rel=1e-3)
        area = page.get_by_label("sales", exact=True)
        assert area.input_value().count("\n") + 1 == len(offered[1]["values"])
        area.fill("1\n2\nmany")
        page.get_by_role("button", name="Answer").click()
        assert "line 3" in page.locator("#answers .failed").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone need not scroll sideways"


def certain(page, tokens):
    """Set the options so that what is written is known."""
    page.get_by_text("Options").click()
    for name, value in {"temperature": "0", "max tokens": str(tokens)}.items():
        page.get_by_label(name).fill(value)


def test_a_conversation_is_streamed_and_remembered(browser, runs, tmp_path):
    talk = engram.chat(runs["talk"], temperature=0, max_tokens=20)
    with opened(browser, runs["talk"], tmp_path) as page:
        certain(page, 20)
        for said in ("how are you", "what?"):
            page.get_by_label("What you say").fill(said)
            page.keyboard.press("Enter")
            page.get_by_role("button", name="Send").wait_for()
            assert page.locator(".turn.assistant").last.inner_text().strip() == talk.say(said).strip()
        assert page.locator(".turn").count() == 4
        page.get_by_role("button", name="Begin anew").click()
        assert page.locator(".turn").count() == 0


def test_a_text_goes_on_until_told_to_stop(browser, runs, tmp_path):
    with opened(browser, runs["plays"], tmp_path) as page:
        certain(page, 30)
        page.get_by_label("How it begins").fill("a dog")
        page.get_by_role("button", name="Write on").click()
        page.get_by_role("button", name="Write on").wait_for()
        expected = str(engram.generate(runs["plays"], "a dog", temperature=0, max_tokens=30))
        assert page.locator(".written").inner_text().strip() == ("a dog" + expected).strip()
        page.get_by_label("max tokens").fill("1000000")
        page.get_by_role("button", name="Write on").click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Write on").wait_for()
