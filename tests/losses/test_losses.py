"""Losses against their formulas."""

import pytest
import torch

from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.losses.cross_entropy import cross_entropy

LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])


def test_cross_entropy_with_smoothing_and_class_weights():
    logprob, label, weights = LOGITS.log_softmax(1), torch.tensor([1, 0]), torch.tensor([2.0, 1.0, 1.0])
    plain = -logprob[[0, 1], label]
    assert torch.allclose(cross_entropy(LOGITS, label), plain)
    smooth = 0.9 * plain - 0.1 * logprob.mean(1)
    assert torch.allclose(cross_entropy(LOGITS, label, smoothing=0.1), smooth)
    assert torch.allclose(cross_entropy(LOGITS, label, class_weights=weights), plain * weights[label])


def test_cross_entropy_of_an_unknown_label_is_zero_and_half_precision_gives_float32():
    loss = cross_entropy(LOGITS.bfloat16(), torch.tensor([-1, 2]))
    assert loss.dtype == torch.float32
    assert loss[0] == 0
    assert loss[1] > 0


def test_binary_cross_entropy_is_the_mean_over_classes():
    label = torch.tensor([[1.0, 0, 0], [0, 0, 1]])
    probability = LOGITS.sigmoid()
    expected = -(label * probability.log() + (1 - label) * (1 - probability).log()).mean(1)
    assert torch.allclose(binary_cross_entropy(LOGITS, label), expected)
    target = torch.where(label > 0, 0.95, 0.05)
    expected = -(target * probability.log() + (1 - target) * (1 - probability).log()).mean(1)
    assert torch.allclose(binary_cross_entropy(LOGITS, label, smoothing=0.1), expected)


def test_binary_cross_entropy_weighs_the_yes_of_a_class():
    label = torch.tensor([[1.0, 0, 0]])
    weighted = binary_cross_entropy(LOGITS[:1], label, positive_weights=torch.tensor([3.0, 1, 1]))
    difference = weighted - binary_cross_entropy(LOGITS[:1], label)
    assert difference.item() == pytest.approx(-2 / 3 * LOGITS[0, 0].sigmoid().log().item())
