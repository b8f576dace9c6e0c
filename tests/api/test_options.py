"""What the verbs refuse before they begin, and what they leave behind then: nothing."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_run
from PIL import Image

from engram import api
from engram.api import fitting, prediction
from engram.api.requests import BUDGET, PlanRequest
from engram.core.errors import ConfigError, DataError, Stopped
from engram.core.rundir import RunDirectory
from engram.tasks.text_classification import TextClassification
from engram.train.plan import NAMED_OPTIONS


def draw(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    "given",
    [{"steps": 0}, {"steps": -3}, {"steps": 2.5}, {"epochs": 0}, {"epochs": math.nan}, {"budget": 9, "steps": 3}],
)
def test_lengths_that_are_none_are_refused(given):
    with pytest.raises(ConfigError, match="expected"):
        PlanRequest(**given).time_limit()


def test_a_length_in_steps_has_no_time_limit():
    assert PlanRequest(steps=5).time_limit() is None
    assert PlanRequest(budget="90s").time_limit() == 90
    assert PlanRequest().time_limit() == BUDGET


def test_a_training_that_cannot_begin_leaves_folders_as_they_were(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for out in (tmp_path / "new" / "run", mine):
        with pytest.raises(DataError, match="expected data"):
            api.train(tmp_path / "nowhere", steps=1, out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_resume_takes_no_other_options(tmp_path):
    run = tiny_run.begun(tmp_path / "run")
    with pytest.raises(ConfigError, match="beside resume; got data, steps, target"):
        api.train(tmp_path, resume=run.path, steps=5, target="kind")


def test_too_few_pictures_are_told_so(tmp_path):
    photos = tmp_path / "photos"
    draw(photos / "dark", "0.png")
    (photos / "copies").mkdir()
    for name in ("1.png", "2.png", "3.png"):  # copies count once
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(photos / "copies" / name)
    with pytest.raises(DataError, match="to set some aside for validation; 2 are too few"):
        api.train(photos, steps=1, out=tmp_path / "run")
    found = api.inspect(photos)
    assert "too_few" in {finding.kind for finding in found.findings} and not found.plan


def test_pictures_without_labels_are_told_where_labels_come_from(tmp_path):
    with pytest.raises(DataError, match=r"3 pictures and no labels\. Put the pictures of each class into a folder"):
        api.inspect(draw(tmp_path / "photos", "a.png", "b.png", "c.png"))


def test_tables_and_arrays_are_items_too(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    (tmp_path / "rows.csv").write_text("file,colour\na.png,red\nb.png,blue\n")
    np.savez(tmp_path / "three.npz", x=np.zeros((3, 8, 8), np.uint8))
    found = list(prediction.expanded([tmp_path / "rows.csv", tmp_path / "three.npz", tmp_path / "a.png"]))
    assert [str(item)[-5:] for item in found[:2]] == ["a.png", "b.png"]
    assert len(found) == 6 and found[2].shape == (8, 8)
    listed = [f"{tmp_path / 'a.png'}\n", "\n"]
    assert list(prediction.expanded(["-"], stdin=listed)) == [str(tmp_path / "a.png")]


@pytest.mark.parametrize(("asked", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_stop_after_training_can_be_gone_on_from(tmp_path, monkeypatch, asked, code):
    random = np.random.default_rng(0)
    for name, level in (("dark", 0), ("light", 120)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(level, level + 99, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")

    def stopped(*arguments, **options):
        raise asked

    with monkeypatch.context() as patched:
        patched.setattr(fitting, "deliver", stopped)
        with pytest.raises(Stopped, match="--resume") as caught:
            api.train(tmp_path / "photos", steps=2, out=tmp_path / "run")
    assert caught.value.exit_code == code
    assert api.train(resume=tmp_path / "run").metrics


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"settings": {"optimizer.learnin_rate": "1"}}, "did you mean 'optimizer.learning_rate'"),
        ({"settings": {"batch_size": "0"}}, "from 1 on for batch_size"),
        ({"settings": {"views": "plain,askew"}}, "no view called 'askew'"),
        ({"model": "nowhere.py:Net"}, "no file 'nowhere.py'"),
        ({"model": 3}, "torch.nn.Module or what makes one; got int"),
        ({"device": "cudaa"}, "expected a device that is here"),
        ({"size": "huge"}, "no size called 'huge'"),
        ({"recipe": "plian"}, "did you mean 'plain'"),
        ({"buget": "3m"}, "did you mean 'budget'"),
    ],
)
def test_what_cannot_be_is_refused_before_the_data_is_looked_at(tmp_path, wrong, said):
    for verb in (lambda **options: api.train(out=tmp_path / "run", **options), api.inspect):
        with pytest.raises(ConfigError, match=said):
            verb(data=tmp_path / "nowhere", **wrong)
    assert not (tmp_path / "run").exists()


def test_every_printed_number_can_be_set_by_its_name_and_counts(tmp_path):
    random = np.random.default_rng(0)
    data = random.integers(0, 255, (60, 8, 8), dtype=np.uint8), ["ab"[n % 2] for n in range(60)]
    printed = api.inspect(data, steps=3).plan
    given = {name: number["value"] for name, number in printed.items() if name not in NAMED_OPTIONS}
    settings = {name: value for name, value in given.items() if not name.startswith("predicted_")}
    assert {"batch_size", "precision", "augmentation", "optimizer.muon_learning_rate"} <= set(settings)
    again = api.inspect(data, steps=3, settings=settings).plan
    assert all(again[name] == {"value": value, "reason": "set by you"} for name, value in settings.items())


def test_the_plain_recipe_asks_for_nothing_unasked(tmp_path):
    random = np.random.default_rng(0)
    labels = ["a"] * 50 + ["b"] * 10
    api.train(
        (random.integers(0, 255, (60, 8, 8), dtype=np.uint8), labels), steps=2, recipe="plain", out=tmp_path / "r"
    )
    plan = RunDirectory(tmp_path / "r").read_run()["plan"]
    numbers = plan["optimizer"]
    assert (plan["precision"], plan["channels_last"], plan["augmentation"], plan["views"]) == (
        "float32",
        False,
        "",
        ["plain"],
    )
    assert (numbers["muon_learning_rate"], numbers["warmup"], numbers["final_rate"], numbers["beta2"]) == (
        0,
        0,
        1,
        0.999,
    )
    assert {numbers[f"{name}learning_rate"] for name in ("", "head_", "vector_")} == {1e-3}
    texts = TextClassification()
    texts.see({"label": SimpleNamespace(ordered=True)})
    assert texts.smoothing > 0 and texts.competing == ["linear_on_text"]
    assert texts.plain().smoothing == 0 and texts.plain().competing == [], "the network is delivered"
    assert texts.plain().metrics == texts.metrics, "what was seen of the labels is not forgotten"
