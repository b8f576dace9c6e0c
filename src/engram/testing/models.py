"""What every network promises: any usual size of input, gradients everywhere, answers from the input alone.

Shapes: B examples, C channels, H × W pixels, T ids.
"""

from __future__ import annotations

import functools
import inspect
import string
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from engram.core.spelling import Spelling
from engram.core.vocabulary import BEGIN, NUM_SPECIAL, PADDING
from engram.train.check import without_gradient

NUM_CLASSES = 5
SHAPES = ((1, 28, 28), (3, 64, 48), (3, 96, 96))
LETTERS = [*string.ascii_lowercase, *string.ascii_uppercase, " ", " ", " ", " ", ".", ","]
VOCABULARY = NUM_SPECIAL + len(LETTERS)
"""What ids of texts stand for."""


def check_model(factory: Callable[..., nn.Module], *, input_shapes: Sequence[Sequence[int]] = SHAPES) -> None:
    """Check a factory that takes `num_classes`, and `input_shape` (C, H, W) or `vocabulary`, as keywords and gives a
    classifier of pictures or of ids; or `vocabulary` alone, and gives a network of ids that says what may follow them.

    Every shape is built anew and run with three examples of noise.
    """
    parameters = inspect.signature(factory).parameters
    if "vocabulary" in parameters and "num_classes" not in parameters:
        check_writer(functools.partial(factory, vocabulary=VOCABULARY))
        return
    if "vocabulary" in parameters:
        check_classifier(functools.partial(factory, vocabulary=VOCABULARY), noise_ids(3), many=noise_ids(64))
        return
    for shape in input_shapes:
        made = functools.partial(factory, input_shape=tuple(shape))
        check_classifier(made, torch.randn(3, *shape), many=torch.randn(64, *shape))


def check_classifier(factory: Callable[..., nn.Module], inputs: Tensor, *, many: Tensor) -> None:
    """Check a factory that takes `num_classes` on some inputs. many: to initialise by."""
    torch.manual_seed(0)
    network = factory(num_classes=NUM_CLASSES)
    for part in network.modules():
        if isinstance(part, Spelling):
            part.learn(LETTERS)
    if (initialise := getattr(network, "initialise", None)) is not None:
        initialise(many)
    check_gradients(network, inputs, shape=(len(inputs), NUM_CLASSES))
    check_answers(network.eval(), inputs)
    check_state(network, factory(num_classes=NUM_CLASSES).eval(), inputs)


def check_writer(factory: Callable[..., nn.Module]) -> None:
    """Check a factory of networks that take one or several texts as ids, and give logits at each place of the last."""
    torch.manual_seed(0)
    network = factory()
    taken = inspect.signature(network.forward).parameters.values()
    inputs = [noise_ids(3) for each in taken if each.default is inspect.Parameter.empty]
    check_gradients(network, *inputs, shape=(*inputs[-1].shape, VOCABULARY))
    check_answers(network.eval(), *inputs)
    check_state(network, factory().eval(), *inputs)


def noise_ids(number: int) -> Tensor:
    """Ids (B, T) of texts of different lengths, each begun as texts are."""
    random = torch.Generator().manual_seed(0)
    text_BT = torch.randint(NUM_SPECIAL, VOCABULARY, (number, 20), generator=random)
    text_BT[torch.arange(20) >= 5 + torch.arange(number)[:, None] % 16] = PADDING
    text_BT[:, 0] = BEGIN
    return text_BT


def check_gradients(network: nn.Module, *inputs: Tensor, shape: tuple[int, ...]) -> None:
    """In training, every parameter that is to be learned gets a gradient that is finite and not zero throughout.

    shape: that logits should have.
    """
    logits = network.train()(*inputs)
    assert logits.shape == shape, f"expected logits of shape {shape}; got {tuple(logits.shape)}"
    logits_BC = logits.flatten(0, -2)
    nn.functional.cross_entropy(logits_BC, torch.arange(len(logits_BC)) % shape[-1]).backward()
    for name in without_gradient(network):
        raise AssertionError(f"no gradient reaches {name}")
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is zero everywhere"


@torch.no_grad()
def check_answers(network: nn.Module, *inputs: Tensor) -> None:
    """In evaluation, the answer to an example is the same each time, whatever its batch or memory format."""
    logits_BC = network(*inputs)
    assert logits_BC.isfinite().all(), "expected finite logits"
    assert torch.equal(logits_BC, network(*inputs)), "the same batch got two answers in evaluation mode"
    alone_BC = torch.cat([network(*(each[row : row + 1] for each in inputs)) for row in range(len(inputs[0]))])
    assert_close(alone_BC, logits_BC, "the answer depends on what else is in the batch")
    if inputs[0].ndim == 4:
        last_BC = network(inputs[0].to(memory_format=torch.channels_last))
        assert_close(last_BC, logits_BC, "the answer depends on the memory format")


@torch.no_grad()
def check_state(network: nn.Module, fresh: nn.Module, *inputs: Tensor) -> None:
    """Weights saved as safetensors and loaded into a network built anew give the same answers."""
    from safetensors.torch import load, save

    content = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    fresh.load_state_dict(load(content), strict=True)
    assert torch.equal(fresh(*inputs), network(*inputs)), "saved and loaded weights answer otherwise"


def assert_close(got: Tensor, expected: Tensor, message: str) -> None:
    """Equal up to what another order of summation does to float32."""
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=lambda detail: f"{message}\n{detail}")
