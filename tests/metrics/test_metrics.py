"""Metrics against brute force from their definitions, and weights against repeating examples."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engram.core import registry

OF_LABELS = {
    *("accuracy", "auroc", "binary_cross_entropy", "cross_entropy", "expected_calibration_error", "macro_f1", "mae"),
    *("mean_average_precision", "micro_f1", "quadratic_kappa"),
}
"""Metrics of logits of labels; those of texts, numbers, rankings and forecasts are tested by themselves."""
NAMES = [name for name in registry.names("engram.metrics", base="metric") if name in OF_LABELS]
SINGLE = [name for name in NAMES if name != "binary_cross_entropy"]
SEVERAL = [name for name in NAMES if name not in ("cross_entropy", "mae", "quadratic_kappa")]


def statistics(name, logits, label):
    metric = registry.find("engram.metrics", name, base="metric")()
    return metric, metric.update(logits, SimpleNamespace(label=label))


def score(name, logits, label):
    metric, kept = statistics(name, logits, label)
    return metric.compute(kept)


def made(*, several=False, num_classes=4, rows=60, rounded=True):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, num_classes, generator=generator)
    logits = logits.mul(2).round() / 2 if rounded else logits  # equal scores occur
    if several:
        return logits, (torch.rand(rows, num_classes, generator=generator) < 0.4).float()
    return logits, torch.randint(0, num_classes, (rows,), generator=generator)


def area(positive, negative):
    return np.mean([(p > n) + 0.5 * (p == n) for p in positive for n in negative])


def average_precision(score_N, positive_N):
    score_N, positive_N = np.asarray(score_N), np.asarray(positive_N, bool)
    return np.mean([positive_N[score_N >= s].mean() for s in score_N[positive_N]])


@pytest.mark.parametrize("several", [False, True])
def test_weights_count_as_repeating_examples_does(several):
    logits, label = made(several=several)
    repeats = np.random.default_rng(1).integers(0, 4, (3, len(label)))
    for name in SEVERAL if several else SINGLE:
        metric, kept = statistics(name, logits, label)
        scores = metric.weighted(kept, repeats.astype(np.float32))
        for weights, got in zip(repeats, scores, strict=True):
            again = {key: np.repeat(value, weights, axis=0) for key, value in kept.items()}
            assert got == pytest.approx(metric.compute(again), abs=1e-6), name
            assert got == pytest.approx(metric.compute(kept, weights), abs=1e-6), name


@pytest.mark.parametrize("several", [False, True])
def test_statistics_joined_from_batches_equal_those_of_all(several):
    logits, label = made(several=several)
    for name in SEVERAL if several else SINGLE:
        metric, whole = statistics(name, logits, label)
        parts = [statistics(name, logits[i : i + 25], label[i : i + 25])[1] for i in range(0, 60, 25)]
        joined = {key: np.concatenate([part[key] for part in parts]) for key in whole}
        assert metric.compute(joined) == pytest.approx(metric.compute(whole), abs=1e-6), name


def test_perfect_answers_score_best():
    label = torch.arange(12) % 3
    logits = 30.0 * torch.nn.functional.one_hot(label, 3)
    for name in SINGLE:
        metric, kept = statistics(name, logits, label)
        assert metric.compute(kept) == pytest.approx(1 if metric.higher_is_better else 0, abs=1e-6), name


def test_accuracy_and_micro_f1_of_known_values():
    logits = torch.tensor([[2.0, 1, 0], [0, 2, 1], [0, 1, 2], [3, 0, 0]])
    label = torch.tensor([0, 1, 1, -1])
    assert score("accuracy", logits, label) == 0.5
    assert score("micro_f1", logits, label) == pytest.approx(2 * 2 / (4 + 3))


def test_accuracy_of_several_labels_asks_for_all_of_them():
    logits = torch.tensor([[1.0, -1], [1, 1], [-1, -1]])
    assert score("accuracy", logits, torch.tensor([[1.0, 0], [1, 0], [0, 0]])) == pytest.approx(2 / 3)


def test_cross_entropy_leaves_out_unknown_labels():
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]))
    label = torch.tensor([0, 1, -1])
    assert score("cross_entropy", logits, label) == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2, rel=1e-6)


def test_binary_cross_entropy_of_known_values():
    logits, label = torch.logit(torch.tensor([[0.9, 0.2], [0.5, 0.5]])), torch.tensor([[1.0, 0], [1, 0]])
    expected = -np.mean([np.log(0.9), np.log(0.8), np.log(0.5), np.log(0.5)])
    assert score("binary_cross_entropy", logits, label) == pytest.approx(expected, rel=1e-6)


def test_macro_f1_from_its_definition():
    logits, label = made()
    predicted, f1 = logits.argmax(1), []
    for c in range(4):
        hit = int(((predicted == c) & (label == c)).sum())
        f1.append(2 * hit / int((predicted == c).sum() + (label == c).sum()))
    assert score("macro_f1", logits, label) == pytest.approx(np.mean(f1))


def test_macro_f1_ignores_classes_that_nobody_named():
    logits, label = torch.eye(5)[[0, 1, 0]], torch.tensor([0, 1, 1])
    assert score("macro_f1", logits, label) == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_auroc_of_two_classes_is_the_share_of_ordered_pairs():
    logits, label = made(num_classes=2)
    difference = (logits[:, 1] - logits[:, 0]).numpy()
    expected = area(difference[label == 1], difference[label == 0])
    assert score("auroc", logits, label) == pytest.approx(expected)


def test_auroc_of_more_classes_is_the_mean_against_the_rest():
    logits, label = made(rounded=False)
    probability = logits.double().softmax(1).numpy()
    expected = np.mean([area(probability[label == c, c], probability[label != c, c]) for c in range(4)])
    assert score("auroc", logits, label) == pytest.approx(expected)


def test_auroc_does_not_saturate_where_probabilities_do():
    logits = torch.tensor([[0.0, 60], [0, 61], [0, 62], [0, 63]])
    assert score("auroc", logits, torch.tensor([0, 0, 1, 1])) == 1


def test_mean_average_precision_from_its_definition():
    logits, label = made(several=True)
    expected = np.mean([average_precision(logits[:, c], label[:, c]) for c in range(4)])
    assert score("mean_average_precision", logits, label) == pytest.approx(expected)


def test_ranking_scores_are_nan_where_only_one_class_occurs():
    logits, label = made(num_classes=2)
    for name in ("auroc", "mean_average_precision"):
        assert np.isnan(score(name, logits, torch.zeros_like(label))), name


def test_expected_calibration_error_of_known_values():
    right = torch.log(torch.tensor([[0.8, 0.2]])).expand(10, 2)
    label = torch.tensor([0] * 6 + [1] * 4)  # confident at 0.8, right in 0.6
    assert score("expected_calibration_error", right, label) == pytest.approx(0.2, abs=1e-6)


def test_half_precision_output_is_taken():
    logits, label = made()
    for name in SINGLE:
        assert np.isfinite(score(name, logits.bfloat16(), label)), name


@pytest.mark.parametrize("num_classes", [2, 4])
def test_influences_of_auroc_stand_for_its_draws(num_classes):
    logits, label = made(num_classes=num_classes, rows=3000)
    metric, kept = statistics("auroc", logits + torch.nn.functional.one_hot(label, num_classes), label)
    influence = metric.influence(kept)
    assert influence.mean() == pytest.approx(0, abs=1e-9)
    weights = np.random.default_rng(0).multinomial(3000, np.ones(3000) / 3000, size=50).astype(np.float32)
    exact = metric.weighted(kept, weights)
    near = metric.compute(kept) + weights @ influence / 3000
    assert np.abs(near - exact).max() < 0.1 * exact.std()
