"""The predictor: any form of item, one or many, errors in their place, the same answers as evaluation."""

import io
import json

import numpy as np
import pytest
import tiny_run
import torch
from PIL import Image as Pictures

from engram.core import strict
from engram.core.errors import ConfigError, RunError
from engram.core.rundir import FORMAT
from engram.evaluate.evaluation import collect
from engram.predict.predictor import load
from engram.tasks.image_classification import ImageClassification


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    data = tiny_run.examples()
    module = tiny_run.delivered(tiny_run.trained(data))
    tiny_run.fit(module, data)
    return data, module, tiny_run.save(tmp_path_factory.mktemp("runs") / "run", data, module)


@pytest.fixture
def predictor(saved):
    return load(saved[2], model=tiny_run.Net)


def encoded(picture):
    content = io.BytesIO()
    Pictures.fromarray(picture).save(content, format="PNG")
    return content.getvalue()


def test_every_form_of_an_item_gets_the_same_answer(predictor, tmp_path):
    (picture,), (label,) = tiny_run.pictures(1, seed=7)
    path = tmp_path / "übung 1.png"
    path.write_bytes(encoded(picture))
    forms = [path, str(path), encoded(picture), Pictures.fromarray(picture), picture, torch.from_numpy(picture)]
    answers = [predictor.predict(form) for form in forms]
    for answer in answers:
        assert answer["label"] == label
        assert answer["probability"] == pytest.approx(answers[0]["probability"])
        assert answer["probabilities"][label] == answer["probability"]
        assert answer["unfamiliar"] is False
    assert answers[0]["input"] == answers[1]["input"] == str(path)
    assert predictor.predict(forms) == predictor.predict(iter(forms))
    json.dumps(answers)


def test_stacks_are_many_and_lists_keep_their_order(predictor):
    x, labels = tiny_run.pictures(20, seed=8)
    for items in (x, x[..., None], torch.from_numpy(x[:, None]), list(x), tuple(x)):
        assert [answer["label"] for answer in predictor.predict(items)] == labels
    assert predictor.predict(x[0][:, :, None])["label"] == labels[0]
    assert predictor.predict([x[0]])[0]["label"] == labels[0]
    assert predictor.predict([]) == []


def test_an_answer_does_not_depend_on_the_batch(predictor):
    x, _ = tiny_run.pictures(30, seed=9)
    alone = [predictor.predict(picture)["probability"] for picture in x]
    together = [answer["probability"] for answer in predictor.stream(x, batch_size=7)]
    assert together == pytest.approx(alone, abs=1e-5)


def test_what_cannot_be_read_gets_its_error_in_its_place(predictor, tmp_path):
    (picture,), (label,) = tiny_run.pictures(1)
    text = tmp_path / "notes.jpg"
    text.write_text("not a picture")
    answers = predictor.predict([tmp_path / "missing.png", picture, text, b""])
    assert ["error" in answer for answer in answers] == [True, False, True, True]
    assert answers[1]["label"] == label
    assert answers[2]["input"] == str(text)
    assert "label" not in answers[0]


def test_unlike_inputs_are_said_to_be_unfamiliar(predictor):
    checks = (np.indices((16, 16)).sum(0) % 2 * 255).astype(np.uint8)
    answers = predictor.predict([checks, np.full((16, 16), 255, np.uint8)])
    assert all(answer["unfamiliar"] and answer["unfamiliarity"] > 1 for answer in answers)
    known, _ = tiny_run.pictures(300, seed=10)
    assert np.mean([answer["unfamiliar"] for answer in predictor.predict(known)]) < 0.06


def test_evaluation_of_stored_rows_and_prediction_of_raw_items_agree(saved, predictor):
    data, module, _ = saved
    rows = data.splits["test"]
    outputs = collect(ImageClassification(), module, data, rows)
    x, _ = tiny_run.pictures(400)
    answers = predictor.predict(x[rows], top=4)
    names = data.features["label"].names
    for answer, probability, unfamiliarity in zip(answers, outputs.probabilities, outputs.unfamiliarity, strict=True):
        assert [answer["probabilities"][name] for name in names] == pytest.approx(probability.tolist(), abs=1e-5)
        assert answer["unfamiliarity"] == pytest.approx(unfamiliarity, abs=2e-3)


def test_options_are_those_of_the_task(predictor):
    (picture,), _ = tiny_run.pictures(1)
    assert len(predictor.predict(picture, top=2)["probabilities"]) == 2
    with pytest.raises(ConfigError, match="top"):
        predictor.predict(picture, topp=2)


def test_a_device_that_is_not_here_is_refused(saved):
    with pytest.raises(ConfigError, match="device"):
        load(saved[2], model=tiny_run.Net, device="nonsense")


def test_a_users_network_opens_only_when_handed_over(saved):
    with pytest.raises(RunError, match="Net"):
        load(saved[2])


def test_another_network_is_refused_with_the_tensors_that_differ(saved):
    with pytest.raises(RunError, match=r"head\.weight"):
        load(saved[2], model=lambda: tiny_run.Net(num_classes=7))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100], ids=["empty", "text", "ones"])
def test_damaged_weights_are_refused(saved, tmp_path, content):
    data, module, _ = saved
    run = tiny_run.save(tmp_path / "run", data, module)
    (run / "model.safetensors").write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        load(run, model=tiny_run.Net)


def test_missing_pieces_are_named(saved, tmp_path):
    data, module, _ = saved
    run = tiny_run.save(tmp_path / "run", data, module)
    (run / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        load(run, model=tiny_run.Net)
    run.write("run.json", strict.sealed({"format": FORMAT, "status": "training", "task": "image_classification"}))
    with pytest.raises(RunError, match="--resume"):
        load(run.path)
    with pytest.raises(RunError, match="no such folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "record", [None, 3, {}, {"views": ["plain"], "num_outputs": -1, "num_hidden": 2}, {"views": 1}]
)
def test_a_damaged_record_of_what_is_delivered_is_refused(saved, tmp_path, record):
    data, module, _ = saved
    run = tiny_run.save(tmp_path / "run", data, module)
    run.update_run(delivered=record)
    with pytest.raises(RunError):
        load(run, model=tiny_run.Net)


def test_a_task_that_is_not_installed_is_named(saved, tmp_path):
    data, module, _ = saved
    run = tiny_run.save(tmp_path / "run", data, module)
    run.update_run(task="image_clasification")
    with pytest.raises(RunError, match="image_classification"):
        load(run, model=tiny_run.Net)


def test_any_number_of_grey_pictures_is_that_many_answers(predictor):
    x, _ = tiny_run.pictures(4, seed=3)
    for number in (2, 3, 4):  # three or four could be channels, but the network sees grey
        assert len(predictor.predict(x[:number])) == number
    assert "label" in predictor.predict(x[0]) and "label" in predictor.predict(torch.from_numpy(x[:1]))


def test_items_without_a_name_are_counted_over_batches(predictor):
    x, _ = tiny_run.pictures(5, seed=3)
    found = [answer["input"] for answer in predictor.stream(list(x), batch_size=2)]
    assert found == [f"ndarray[{number}]" for number in range(5)]
