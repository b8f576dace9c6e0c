"""Intervals, calibration, unfamiliarity and evaluation: what is claimed holds on data made to know."""

import json

import numpy as np
import pytest
import tiny_run
import torch

from engram.core.errors import DataError, RunError
from engram.core.rundir import RunDirectory
from engram.evaluate import calibration, comparison, evaluation, intervals, predictions, unfamiliarity
from engram.evaluate.evaluation import Outputs, collect, score
from engram.floors.majority_class import Constant
from engram.metrics.accuracy import Accuracy, wilson
from engram.metrics.auroc import Auroc
from engram.metrics.cross_entropy import CrossEntropy
from engram.metrics.macro_f1 import MacroF1
from engram.metrics.mean_average_precision import MeanAveragePrecision
from engram.models.delivered import MAX_DIRECTIONS, Delivered
from engram.tasks.image_classification import ImageClassification


def right(share, number, seed=0):
    return {"correct": np.random.default_rng(seed).random(number) < share}


METRICS = (Accuracy(), CrossEntropy(), MacroF1(), Auroc())


def outputs(metrics=METRICS, *, number=500, skill=2.0, seed=0, several=False):
    """Made answers to made examples, better with more skill; labels depend on nothing but `number`."""
    truth, noise = torch.Generator().manual_seed(99), torch.Generator().manual_seed(seed)
    label = torch.randint(0, 4, (number,), generator=truth)
    hot = torch.nn.functional.one_hot(label, 4).float()
    logits = torch.randn(number, 4, generator=noise) + skill * hot
    if several:
        label = (torch.rand(number, 4, generator=truth) < 0.3).float()
        logits = torch.randn(number, 4, generator=noise) + skill * (2 * label - 1)
    batch = type("Batch", (), {"label": label})
    statistics = {metric.name: metric.update(logits, batch) for metric in metrics}
    return Outputs(np.arange(number), logits.numpy(), label=label.numpy(), statistics=statistics)


# --- intervals ---------------------------------------------------------------------------------------------------


def test_draws_are_deterministic_and_draw_as_many_as_there_are():
    blocks = list(intervals.draws(3000, seed=1))
    drawn = np.concatenate(blocks)
    assert drawn.shape == (1000, 3000)
    assert (drawn.sum(1) == 3000).all()
    assert np.array_equal(drawn, np.concatenate(list(intervals.draws(3000, seed=1))))
    assert drawn.mean(0).std() < 0.05


def test_about_95_of_100_intervals_hold_the_truth():
    hold = 0
    for seed in range(100):
        kept = {"loss": np.random.default_rng(seed).normal(1, 1, size=200), "known": np.ones(200, bool)}
        found = intervals.scores((CrossEntropy(),), {"cross_entropy": kept}, number=300)["cross_entropy"]
        hold += found["low"] <= 1 <= found["high"]
    assert 88 <= hold <= 99


def test_accuracy_has_wilsons_interval_which_holds_the_truth_and_has_a_width_at_one():
    hold = 0
    for seed in range(200):
        found = intervals.scores((Accuracy(),), {"accuracy": right(0.9, 100, seed)})["accuracy"]
        hold += found["low"] <= 0.9 <= found["high"]
    assert 180 <= hold <= 198
    assert wilson(40, 40) == (pytest.approx(0.9124, abs=1e-3), 1.0)
    assert wilson(50, 100) == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))


def test_metrics_without_a_score_are_left_out():
    made = outputs()
    made.statistics["auroc"]["label"][:] = 2
    assert "auroc" not in score(made, (Accuracy(), Auroc()))
    assert score(Outputs(np.arange(0), np.zeros((0, 4), np.float32)), (Accuracy(),)) == {}


# --- calibration -------------------------------------------------------------------------------------------------


def distorted(number=4000, *, kind="softmax", scale=3.0, bias=(0.0, 0.0, 0.0)):
    """Logits whose true probabilities are known, made too sure by `scale` and shifted."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(number, 3, generator=generator) * 1.5
    if kind == "softmax":
        label = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    else:
        label = torch.bernoulli(logits.sigmoid(), generator=generator)
    return (logits * scale + torch.tensor(bias)).numpy(), label.numpy()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_temperature_undoes_a_known_distortion(kind, scale):
    found = calibration.fit(*distorted(kind=kind, scale=scale), kind=kind)
    assert found.temperature == pytest.approx(scale, rel=0.08)
    assert np.abs(found.bias).max() < 0.15
    assert found.loss_after < found.loss_before


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_bias_undoes_a_shift(kind):
    found = calibration.fit(*distorted(kind=kind, scale=2.0, bias=(3.0, 0.0, 0.0)), kind=kind)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.bias[0] - found.bias[1] == pytest.approx(-1.5, abs=0.2)


def test_a_bias_that_does_not_hold_up_is_not_taken():
    found = calibration.fit(*distorted(number=300), kind="softmax")
    assert (found.bias == 0).all()


def test_faultless_answers_do_not_drive_the_temperature_to_zero():
    logits = np.eye(3, dtype=np.float32)[np.arange(60) % 3] * 8
    found = calibration.fit(logits, np.arange(60) % 3, kind="softmax")
    assert 0.3 < found.temperature < 1.5


def test_unknown_labels_are_left_out_and_no_rows_change_nothing():
    logits, label = distorted(number=400)
    mixed = calibration.fit(
        np.concatenate([logits, logits]), np.concatenate([label, -np.ones_like(label)]), kind="softmax"
    )
    assert mixed.temperature == pytest.approx(calibration.fit(logits, label, kind="softmax").temperature)
    assert calibration.fit(logits[:0], label[:0], kind="softmax").temperature == 1


def test_reliability_counts_every_answer_once():
    logits, label = distorted(number=1000, scale=1.0)
    bins = calibration.reliability(logits, label)
    assert sum(b["count"] for b in bins) == 1000
    assert all(b["low"] <= b["confidence"] <= b["high"] for b in bins)
    assert max(abs(b["confidence"] - b["accuracy"]) for b in bins if b["count"] > 100) < 0.1
    logits, label = distorted(number=1000, kind="sigmoid")
    assert sum(b["count"] for b in calibration.reliability(logits, label)) == 3000


# --- unfamiliarity -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "width"), [(2000, 32), (60, 200), (100, MAX_DIRECTIONS + 50)])
def test_known_data_is_familiar_and_other_data_is_not(rows, width):
    generator = torch.Generator().manual_seed(0)
    spread = torch.logspace(-2, 1, width)
    centres = torch.randn(3, width, generator=generator) * 20

    def known(number):
        label = torch.randint(0, 3, (number,), generator=generator)
        return centres[label] + torch.randn(number, width, generator=generator) * spread, label

    module = Delivered(torch.nn.Linear(width, 3), num_outputs=3, num_hidden=width)
    unfamiliarity.fit_spread(module, *known(rows))
    logits = torch.zeros(500, 3)
    unfamiliarity.fit_threshold(module, module.distance(known(500)[0], logits).detach())
    familiar = module.unfamiliarity(known(500)[0], logits)
    assert (familiar > 1).float().mean() < 0.06
    assert familiar.median().abs() < 0.3
    assert (module.unfamiliarity(torch.randn(500, width, generator=generator) * 20, logits) > 1).all()
    assert (module.unfamiliarity(torch.zeros(1, width), logits[:1]) > 1).all()
    between = (centres[:1] + centres[1:2]) / 2
    assert (module.unfamiliarity(between, logits[:1]) > 1).all()


def test_several_labels_share_one_centre_and_missing_classes_do_no_harm():
    hidden = torch.randn(300, 8)
    module = Delivered(torch.nn.Linear(8, 3), num_outputs=3, num_hidden=8)
    unfamiliarity.fit_spread(module, hidden, (torch.rand(300, 3) < 0.3).float())
    assert torch.equal(module.hidden_mean[:, 0], module.hidden_mean[:, 2])
    unfamiliarity.fit_spread(module, hidden, torch.zeros(300, dtype=torch.long))
    assert module.hidden_mean.isfinite().all()
    unfamiliarity.fit_spread(module, torch.zeros(300, 8), torch.zeros(300, dtype=torch.long))
    assert module.hidden_whitening.isfinite().all()


def test_equal_distances_leave_the_scale_finite():
    module = Delivered(torch.nn.Linear(8, 3), num_outputs=3, num_hidden=8)
    unfamiliarity.fit_threshold(module, np.ones(10))
    assert module.threshold > module.typical
    unfamiliarity.fit_threshold(module, np.ones(0))


# --- comparison --------------------------------------------------------------------------------------------------


def test_a_clear_difference_is_told_in_both_directions():
    a, b = outputs(skill=1.0), outputs(skill=2.5, seed=1)
    for name, metric in (("accuracy", Accuracy()), ("cross_entropy", CrossEntropy())):
        found = comparison.paired(metric, a.statistics[name], b.statistics[name])
        assert found.verdict == "better"
        assert found.low <= found.difference <= found.high
        assert "better" in found.sentence
        assert comparison.paired(metric, b.statistics[name], a.statistics[name]).verdict == "worse"


def test_noise_is_told_as_noise():
    a, b = outputs(skill=2.0), outputs(skill=2.0, seed=1)
    found = comparison.paired(Accuracy(), a.statistics["accuracy"], b.statistics["accuracy"])
    assert found.verdict == "no difference"
    assert "noise" in found.sentence
    assert comparison.paired(Accuracy(), right(0.9, 50), right(0.9, 50)).difference == 0


def test_equal_models_are_seldom_told_apart():
    told = 0
    for seed in range(100):
        a, b = right(0.8, 200, seed), right(0.8, 200, seed + 1000)
        told += comparison.paired(Accuracy(), a, b).verdict != "no difference"
    assert told <= 12


def test_examples_are_matched_by_key_and_repeats_one_by_one():
    at_a, at_b = comparison.match(["x", "y", "x", "z"], ["x", "x", "q", "y"])
    assert (at_a.tolist(), at_b.tolist()) == ([0, 1, 2], [0, 3, 1])
    with pytest.raises(DataError, match="same examples"):
        comparison.match(["a", "b"], ["c", "d"])


# --- evaluation --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    data = tiny_run.examples()
    module = tiny_run.delivered(tiny_run.trained(data))
    return data, module, tiny_run.fit(module, data)


def test_delivery_fills_the_buffers(trained):
    _, module, fitted = trained
    assert module.temperature == pytest.approx(fitted.temperature)
    assert module.threshold.isfinite()
    assert module.hidden_whitening.any()


def test_evaluate_says_everything_and_json_holds_it(trained):
    data, module, _ = trained
    task, rows, names = ImageClassification(), data.splits["test"], data.features["label"].names
    floor = collect(task, Constant(4), data, rows)
    found = evaluation.evaluate(task, collect(task, module, data, rows), names, floors={"majority_class": floor})
    assert json.loads(json.dumps(found)) == found
    assert found["num_examples"] == len(rows) == 80
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["value"] > 0.95
    assert found["floors"]["majority_class"]["accuracy"]["value"] < 0.5
    assert found["against_floors"]["majority_class"]["verdict"] == "better"
    assert np.array(found["confusion"]).sum() == 80
    assert sum(row["support"] for row in found["per_class"]) == 80
    assert found["unfamiliar"] < 0.1
    assert sum(b["count"] for b in found["calibration"]["bins"]) == 80


def test_per_class_and_confusion_of_known_answers():
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1]]
    made = Outputs(np.arange(5), logits, np.array([0, 1, 1, 1, -1]))
    assert evaluation.confusion(made, 3).tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    rows = evaluation.per_class(made, ["a", "b", "c"])
    assert rows[1] == {
        "label": "b",
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "support": 3,
    }
    assert rows[2] == {"label": "c", "precision": None, "recall": None, "f1": None, "support": 0}


def test_answers_without_labels_are_collected_too(trained):
    data, module, _ = trained
    unlabelled = type(data)(data.features, {"image": data.stored["image"]})
    found = collect(ImageClassification(), module, unlabelled, np.arange(10))
    assert found.label is None
    assert found.statistics == {}
    assert found.probabilities.sum(1) == pytest.approx(1)


# --- predictions -------------------------------------------------------------------------------------------------


def written(path, made, names, digest=None):
    run = RunDirectory(path).create()
    predictions.write(run, made, names, where=lambda row: f"pictures/{row}.png", digest=digest)
    return run


def test_predictions_are_written_and_read(tmp_path):
    made, names = outputs(number=30), ["a", "b", "c", "d"]
    made.label[3] = -1
    frame = predictions.read(written(tmp_path / "run", {"val": made, "test": made}, names))
    assert frame.height == 60
    row = frame.row(0, named=True)
    assert row["where"] == "pictures/0.png"
    assert row["label"] == names[made.label[0]]
    assert row["predicted"] == names[made.logits[0].argmax()]
    assert row["probability"] == pytest.approx(row[f"probability of {row['predicted']}"])
    assert frame["label"][3] is None
    assert frame["correct"].sum() == 2 * (made.logits.argmax(1) == made.label).sum()


def test_many_classes_keep_the_likeliest_five(tmp_path):
    logits = np.random.default_rng(0).normal(size=(20, 60)).astype(np.float32)
    label = np.arange(20)
    metrics = (Accuracy(), CrossEntropy())
    batch = type("Batch", (), {"label": torch.from_numpy(label)})
    made = Outputs(
        np.arange(20), logits, label, None, {m.name: m.update(torch.from_numpy(logits), batch) for m in metrics}
    )
    names = [f"class {number}" for number in range(60)]
    run = written(tmp_path / "run", {"test": made}, names)
    assert len(predictions.read(run)["top_labels"][0]) == 5
    found = {c.metric: c for c in predictions.compare(run, run, (*metrics, Auroc()))}
    assert set(found) == {"accuracy", "cross_entropy"}
    for metric in metrics:
        assert found[metric.name].a == pytest.approx(metric.compute(made.statistics[metric.name]), abs=1e-3)


@pytest.mark.parametrize("several", [False, True])
def test_runs_are_compared_by_content_whatever_their_order(tmp_path, several):
    metrics = (MeanAveragePrecision(), MacroF1()) if several else (Accuracy(), CrossEntropy(), MacroF1(), Auroc())
    a, b = (outputs(metrics, skill=skill, seed=seed, several=several) for skill, seed in ((0.7, 1), (1.5, 2)))
    digest = np.random.default_rng(0).integers(0, 256, (500, 16), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(500)
    shuffled = Outputs(np.arange(500), b.logits[order], b.label[order])
    names = ["a", "b", "c", "d"]
    run_a = written(tmp_path / "a", {"test": a}, names, digest)
    run_b = written(tmp_path / "b", {"test": shuffled}, names, digest[order])
    found = predictions.compare(run_a, run_b, metrics)
    assert [c.metric for c in found] == [m.name for m in metrics]
    for c, metric in zip(found, metrics, strict=True):
        assert c.verdict == "better"
        assert c.num_examples == 500
        assert c.a == pytest.approx(metric.compute(a.statistics[metric.name]), abs=1e-4)
        assert c.b == pytest.approx(metric.compute(b.statistics[metric.name]), abs=1e-4)


def test_runs_that_agree_on_no_label_cannot_be_compared(tmp_path):
    made, digest = outputs(number=30), np.random.default_rng(0).integers(0, 256, (30, 16), dtype=np.uint8)
    runs = [written(tmp_path / names, {"test": made}, list(names), digest) for names in ("abcd", "efgh")]
    with pytest.raises(DataError, match="same labels"):
        predictions.compare(*runs, (Accuracy(),))


def test_runs_of_other_data_cannot_be_compared(tmp_path):
    made, names = outputs(number=30), ["a", "b", "c", "d"]
    digest = np.random.default_rng(0).integers(0, 256, (2, 30, 16), dtype=np.uint8)
    runs = [written(tmp_path / str(i), {"test": made}, names, digest[i]) for i in range(2)]
    with pytest.raises(DataError, match="same examples"):
        predictions.compare(*runs, (Accuracy(),))
    (runs[0] / predictions.FILE).write_bytes(b"garbage")
    with pytest.raises(RunError, match="damaged"):
        predictions.read(runs[0])
    with pytest.raises(RunError, match="there is none"):
        predictions.read(RunDirectory(tmp_path))


def test_the_main_directions_of_wide_layers_are_those_of_the_data():
    generator = torch.Generator().manual_seed(0)
    scale_D = torch.cat([torch.full((8,), 10.0), torch.full((92,), 0.1)])
    rows_ND = torch.randn(60, 100, generator=generator) * scale_D
    found_DR = unfamiliarity._main_directions(rows_ND, 8)
    assert torch.allclose(found_DR.T @ found_DR, torch.eye(8), atol=1e-5)
    assert found_DR[:8].norm() ** 2 > 7.99  # all of them lie among the first eight axes


def test_examples_that_overlap_are_drawn_with_their_neighbours() -> None:
    (weights_SN,) = intervals.draws(40, number=200, together=8)
    assert weights_SN.shape == (200, 40) and (weights_SN.sum(1) == 40).all()
    value_N = np.repeat(np.random.default_rng(0).normal(size=50), 8).astype(np.float32)  # eight that say the same
    spread = {
        together: np.concatenate(
            [weights_SN @ value_N / 400 for weights_SN in intervals.draws(400, number=400, together=together)]
        ).std()
        for together in (1, 8)
    }
    assert spread[8] > 2 * spread[1]
