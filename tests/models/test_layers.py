import pytest
import torch
from torch.nn import functional as F

from engram.models.layers.attend import linear
from engram.models.layers.convolution import Convolution3x3
from engram.models.layers.whitening import Whitening


@pytest.mark.parametrize("batch", [7, 50, 64])
@pytest.mark.parametrize("side", [3, 6, 8, 11])
def test_the_fast_convolution_has_the_gradients_of_the_plain_one(batch, side):
    torch.manual_seed(0)
    layer = Convolution3x3(16, 32).train()
    with torch.no_grad():
        layer.weight.copy_(torch.randn_like(layer.weight) * 0.1)
    x = torch.randn(batch, 16, side, side).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    target = torch.randn(batch, 32, side, side).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = torch.autograd.grad(layer(x), [x, layer.weight], target)
    x32 = x.detach().float().requires_grad_()
    weight = layer.weight.detach().bfloat16().float().requires_grad_()
    exact = torch.autograd.grad(F.conv2d(x32, weight, padding=1), [x32, weight], target.float())
    for ours, theirs in zip(fast, exact, strict=True):
        assert ours.shape == theirs.shape
        assert (ours.float() - theirs).norm() / theirs.norm() < 0.01


def test_whitened_patches_are_uncorrelated_with_unit_variance():
    torch.manual_seed(0)
    pictures = F.avg_pool2d(torch.randn(200, 1, 24, 24), 3, stride=1)
    layer = Whitening(1, kernel=2, stride=1)
    layer.initialise(pictures)
    outputs = layer(pictures)[:, : layer.components].transpose(0, 1).flatten(1)
    covariance = torch.cov(outputs)
    assert torch.allclose(covariance, torch.eye(layer.components), atol=0.1)


def test_products_that_are_filled_up_are_the_same_products() -> None:
    x, weight = torch.randn(3, 7, 16).bfloat16().requires_grad_(), torch.randn(5, 16).bfloat16().requires_grad_()
    found, expected = linear(x, weight), torch.nn.functional.linear(x, weight)
    torch.testing.assert_close(found, expected)
    some = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(found, (x, weight), some), torch.autograd.grad(expected, (x, weight), some), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=2e-2, atol=2e-2)
