"""What every network promises: any usual picture size, gradients everywhere, answers from the input alone.

Shapes: B pictures, C channels, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from engram.train.check import without_gradient

NUM_CLASSES = 5
SHAPES = ((1, 28, 28), (3, 64, 48), (3, 96, 96))


def check_model(factory: Callable[..., nn.Module], *, input_shapes: Sequence[Sequence[int]] = SHAPES) -> None:
    """Check a factory that takes `input_shape` (C, H, W) and `num_classes` as keywords and gives a classifier.

    Every shape is built anew and run with three pictures of noise.
    """
    for shape in input_shapes:
        torch.manual_seed(0)
        network = factory(input_shape=tuple(shape), num_classes=NUM_CLASSES)
        pictures_BCHW = torch.randn(3, *shape)
        if (initialise := getattr(network, "initialise", None)) is not None:
            initialise(torch.randn(64, *shape))
        check_gradients(network, pictures_BCHW)
        check_answers(network.eval(), pictures_BCHW)
        fresh = factory(input_shape=tuple(shape), num_classes=NUM_CLASSES)
        check_state(network, fresh.eval(), pictures_BCHW)


def check_gradients(network: nn.Module, pictures_BCHW: Tensor) -> None:
    """In training, every parameter that is to be learned gets a gradient that is finite and not zero throughout."""
    logits_BC = network.train()(pictures_BCHW)
    expected = (len(pictures_BCHW), NUM_CLASSES)
    assert logits_BC.shape == expected, f"expected logits of shape {expected}; got {tuple(logits_BC.shape)}"
    nn.functional.cross_entropy(logits_BC, torch.arange(len(logits_BC)) % NUM_CLASSES).backward()
    for name in without_gradient(network):
        raise AssertionError(f"no gradient reaches {name}")
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is zero everywhere"


@torch.no_grad()
def check_answers(network: nn.Module, pictures_BCHW: Tensor) -> None:
    """In evaluation, the answer to a picture is the same each time, whatever its batch or memory format."""
    logits_BC = network(pictures_BCHW)
    assert logits_BC.isfinite().all(), "expected finite logits"
    assert torch.equal(logits_BC, network(pictures_BCHW)), "the same batch got two answers in evaluation mode"
    alone_BC = torch.cat([network(picture[None]) for picture in pictures_BCHW])
    assert_close(alone_BC, logits_BC, "the answer depends on what else is in the batch")
    if pictures_BCHW.ndim == 4:
        last_BC = network(pictures_BCHW.to(memory_format=torch.channels_last))
        assert_close(last_BC, logits_BC, "the answer depends on the memory format")


@torch.no_grad()
def check_state(network: nn.Module, fresh: nn.Module, pictures_BCHW: Tensor) -> None:
    """Weights saved as safetensors and loaded into a network built anew give the same answers."""
    from safetensors.torch import load, save

    content = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    fresh.load_state_dict(load(content), strict=True)
    assert torch.equal(fresh(pictures_BCHW), network(pictures_BCHW)), "saved and loaded weights answer otherwise"


def assert_close(got: Tensor, expected: Tensor, message: str) -> None:
    """Equal up to what another order of summation does to float32."""
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=lambda detail: f"{message}\n{detail}")
