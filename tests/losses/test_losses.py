"""Losses against their formulas."""

import pytest
import torch

from engram.core.scale import aims
from engram.core.vocabulary import PADDING
from engram.losses.binary_cross_entropy import binary_cross_entropy
from engram.losses.cross_entropy import cross_entropy
from engram.losses.token_cross_entropy import token_cross_entropy

LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])


def test_cross_entropy_with_smoothing_and_class_weights():
    logprob, label, weights = LOGITS.log_softmax(1), torch.tensor([1, 0]), torch.tensor([2.0, 1.0, 1.0])
    plain = -logprob[[0, 1], label]
    assert torch.allclose(cross_entropy(LOGITS, label), plain)
    smooth = 0.9 * plain - 0.1 * logprob.mean(1)
    assert torch.allclose(cross_entropy(LOGITS, label, smoothing=0.1), smooth)
    assert torch.allclose(cross_entropy(LOGITS, label, class_weights=weights), plain * weights[label])


def test_where_classes_are_steps_of_a_scale_near_misses_cost_less_and_the_step_itself_least():
    sure = 5 * torch.eye(5)
    loss = cross_entropy(sure, torch.full((5,), 1), aims_CC=aims(5, ordered=True)).tolist()
    assert loss[1] < loss[0] == pytest.approx(loss[2], abs=0.02) and loss[2] < loss[3] == pytest.approx(
        loss[4], abs=0.02
    )
    assert cross_entropy(sure, torch.tensor([-1] * 5), aims_CC=aims(5, ordered=True)).tolist() == [0] * 5
    label = torch.arange(5)
    assert torch.allclose(cross_entropy(sure, label, aims_CC=aims(5, ordered=False)), cross_entropy(sure, label))


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


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_tokens_in_half_precision_have_the_losses_and_gradients_of_full_precision_and_padding_has_none(smoothing):
    ids, chance = torch.tensor([[5, 1, PADDING], [2, PADDING, PADDING]]), torch.Generator().manual_seed(0)
    half = (2 * torch.randn(2, 3, 7, generator=chance)).bfloat16().requires_grad_()
    full = half.detach().float().requires_grad_()
    losses = [token_cross_entropy(logits, ids, smoothing=smoothing) for logits in (half, full)]
    for loss in losses:
        assert (loss == 0).equal(ids == PADDING)
        (loss * torch.tensor([[1.0], [3.0]])).sum().backward()
    expected = cross_entropy(full.detach().flatten(0, 1), ids.flatten(), smoothing=smoothing).view(2, 3)
    assert torch.allclose(losses[1], expected * (ids != PADDING))
    assert torch.allclose(*losses, atol=0.02)
    assert torch.allclose(half.grad.float(), full.grad, atol=0.02)
    assert (half.grad[ids == PADDING] == 0).all()
