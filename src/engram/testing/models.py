"""What every network promises: any usual size of input, gradients everywhere, answers from the input alone.

Shapes: B examples, C channels, H × W pixels, T ids.
"""

from __future__ import annotations

import functools
import inspect
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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

CARDINALITIES = (3, 5)
"""Of the categories of records."""


def check_model(factory: Callable[..., nn.Module], *, input_shapes: Sequence[Sequence[int]] = SHAPES) -> None:
    """Check a factory that takes `num_classes`, and `input_shape` (C, H, W) or `vocabulary`, as keywords and gives a
    classifier of pictures or of ids; or `num_numbers` and `num_codes`, and gives one of records; or `vocabulary`
    and `context`, and gives what says the next id of each; or `vocabulary` alone, and gives what reads one text and
    says the next id of each of another; or `lookback` and `horizon`, and gives what forecasts.

    Every shape is built anew and run with three examples of noise.
    """
    parameters = inspect.signature(factory).parameters
    if "num_codes" in parameters:
        made = functools.partial(factory, num_numbers=2, num_categories=2, num_codes=sum(CARDINALITIES), width=32)
        check_classifier(made, noise_records(3), many=noise_records(64))
        return
    if "horizon" in parameters:
        check_forecaster(functools.partial(factory, lookback=20, horizon=6, columns=2, others=1, known=3))
        return
    if "context" in parameters:
        check_decoder(functools.partial(factory, vocabulary=VOCABULARY, context=32, width=32, layers=2, heads=2))
        return
    if "num_items" in parameters:
        check_recommender(factory)
        return
    if "vocabulary" in parameters and "num_classes" not in parameters:
        check_encoder_decoder(functools.partial(factory, vocabulary=VOCABULARY, width=32, heads=2))
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
    check_gradients(network, inputs)
    check_answers(network.eval(), inputs)
    check_state(network, factory(num_classes=NUM_CLASSES).eval(), inputs)


def check_forecaster(factory: Callable[[], nn.Module]) -> None:
    """Check a factory of networks that give windows (B, T, F) expected values and quantiles (B, H, C, A), and do not
    look at what is still to come."""
    torch.manual_seed(0)
    network, series_BTF = factory(), torch.randn(3, 26, 6)
    Flat(network)(series_BTF).square().sum().backward()
    assert not without_gradient(network), f"no gradient reaches {without_gradient(network)}"
    check_answers(Flat(network).eval(), series_BTF)
    check_state(network, factory().eval(), series_BTF)
    later_BTF = series_BTF.clone()
    later_BTF[:, 20:, :3] = 100.0
    assert_close(network(later_BTF), network(series_BTF), "a forecast depends on what is still to come")
    quantile_BHCQ = network(series_BTF)[..., 1:]
    assert (quantile_BHCQ.diff(dim=-1) >= 0).all(), "quantiles cross"
    moved_BTF = series_BTF.clone()
    moved_BTF[..., :2] += 5.0
    assert_close(network(moved_BTF), network(series_BTF) + 5.0, "a series that is moved has another forecast")
    exported = torch.export.export(network, (series_BTF,), dynamic_shapes=({0: torch.export.Dim.AUTO},)).module()
    assert_close(exported(series_BTF[:2]), network(series_BTF[:2]), "the exported network answers otherwise")


class Flat(nn.Module):
    """A forecaster whose answers are laid flat, one row an example."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, series_BTF: Tensor) -> Tensor:
        """(B, T, F) -> (B, H x C x A)."""
        return self.network(series_BTF).flatten(1)


def check_decoder(factory: Callable[[], nn.Module]) -> None:
    """Check a factory of networks that give ids (B, T) the logits (B, T, V) of the next ones."""
    torch.manual_seed(0)
    network, text_BT = factory(), noise_ids(3)
    check_gradients(Last(network), text_BT, outputs=VOCABULARY)
    check_answers(Last(network).eval(), text_BT)
    check_state(network, factory().eval(), text_BT)
    check_order(network, text_BT)
    check_export(network, text_BT)


def check_recommender(factory: Callable[..., nn.Module]) -> None:
    """Check a factory of networks that give histories (B, L, 2) the scores (B, I) of what comes next."""
    torch.manual_seed(0)
    made = functools.partial(factory, num_items=VOCABULARY, num_marks=3, of_all=2 * VOCABULARY)
    network: Any = made()
    history_BL2 = torch.zeros(3, 20, 2)
    network.describe(np.arange(VOCABULARY), np.arange(2 * VOCABULARY) % 3, 2 * np.arange(VOCABULARY + 1))
    history_BL2[..., 0] = noise_ids(3)
    history_BL2[..., 1] = torch.randn(3, 20) * (history_BL2[..., 0] > 0)
    check_gradients(network, history_BL2, outputs=VOCABULARY)
    check_answers(network.eval(), history_BL2)
    check_state(network, made().eval(), history_BL2)


def check_encoder_decoder(factory: Callable[[], nn.Module]) -> None:
    """Check a factory of networks that take ids (B, S) and (B, T), and give logits (B, T, V) of what follows those."""
    torch.manual_seed(0)
    network, text_BS = factory(), noise_ids(3)
    check_gradients(Reply(network), text_BS, outputs=VOCABULARY)
    check_answers(Reply(network).eval(), text_BS)
    check_state(network, factory().eval(), text_BS, text_BS[:, :10].contiguous())
    whole_BTV, changed_BT = network(text_BS, text_BS), text_BS.clone()
    changed_BT[:, 6:] = NUM_SPECIAL
    assert_close(network(text_BS, changed_BT)[:, :6], whole_BTV[:, :6], "an answer depends on what comes later")
    if getattr(network, "packs", False):
        packed_BT = torch.cat([text_BS.roll(1, 0), text_BS], 1)
        assert_close(network(packed_BT, packed_BT)[:, 20:], whole_BTV, "a pair sees the one before it in its row")
    any_size = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    given = (text_BS, text_BS[:, :11].clone())
    exported = torch.export.export(network, given, dynamic_shapes=(any_size, any_size)).module()
    others = (text_BS[:2, :15], text_BS[:2, :7].clone())
    assert_close(exported(*others), network(*others), "the exported network answers otherwise")


class Reply(nn.Module):
    """An encoder-decoder that gives the logits of what follows ten ids of the text it read, as a classifier would."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, text_BS: Tensor) -> Tensor:
        """(B, S) -> (B, V)."""
        return self.network(text_BS, text_BS[:, :10])[:, -1]


class Last(nn.Module):
    """A decoder that gives the logits of what follows each row's tenth id alone, as a classifier would."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, text_BT: Tensor) -> Tensor:
        """(B, T) -> (B, V)."""
        return self.network(text_BT[:, :10])[:, -1]


@torch.no_grad()
def check_order(network: nn.Module, text_BT: Tensor) -> None:
    """No position sees a later one, and no document another one in its row."""
    whole_BTV, changed_BT = network(text_BT), text_BT.clone()
    changed_BT[:, 6:] = NUM_SPECIAL
    assert_close(network(changed_BT)[:, :6], whole_BTV[:, :6], "an answer depends on what comes later")
    packed_BT = torch.cat([changed_BT, text_BT], dim=1)
    assert_close(network(packed_BT)[:, text_BT.shape[1] :], whole_BTV, "a document sees the one before it in its row")


@torch.no_grad()
def check_export(network: nn.Module, inputs: Tensor) -> None:
    """The network can be exported for batches and texts of any length, and answers alike."""
    sizes = {0: torch.export.Dim("batch", min=2), 1: torch.export.Dim("length", min=2, max=64)}
    exported = torch.export.export(network, (inputs,), dynamic_shapes=(sizes,)).module()
    assert_close(exported(inputs[:2, :15]), network(inputs[:2, :15]), "the exported network answers otherwise")


def noise_ids(number: int) -> Tensor:
    """Ids (B, T) of texts of different lengths, each begun as texts are."""
    random = torch.Generator().manual_seed(0)
    text_BT = torch.randint(NUM_SPECIAL, VOCABULARY, (number, 20), generator=random)
    text_BT[torch.arange(20) >= 5 + torch.arange(number)[:, None] % 16] = PADDING
    text_BT[:, 0] = BEGIN
    return text_BT


def noise_records(number: int) -> Tensor:
    """Records (B, 4) of two numbers, each of which is missing somewhere, and two codes."""
    random = torch.Generator().manual_seed(0)
    number_BN = torch.randn(number, 2, generator=random)
    number_BN[torch.arange(2), torch.arange(2)] = torch.nan
    codes = [torch.randint(most, (number, 1), generator=random).float() for most in CARDINALITIES]
    return torch.cat([number_BN, *codes], 1)


def check_gradients(network: nn.Module, inputs: Tensor, *, outputs: int = NUM_CLASSES) -> None:
    """In training, every parameter that is to be learned gets a gradient that is finite and not zero throughout."""
    logits_BC = network.train()(inputs)
    expected = (len(inputs), outputs)
    assert logits_BC.shape == expected, f"expected logits of shape {expected}; got {tuple(logits_BC.shape)}"
    nn.functional.cross_entropy(logits_BC, torch.arange(len(logits_BC)) % NUM_CLASSES).backward()
    for name in without_gradient(network):
        raise AssertionError(f"no gradient reaches {name}")
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is zero everywhere"


@torch.no_grad()
def check_answers(network: nn.Module, inputs: Tensor) -> None:
    """In evaluation, the answer to an example is the same each time, whatever its batch or memory format."""
    logits_BC = network(inputs)
    assert logits_BC.isfinite().all(), "expected finite logits"
    assert torch.equal(logits_BC, network(inputs)), "the same batch got two answers in evaluation mode"
    alone_BC = torch.cat([network(one[None]) for one in inputs])
    assert_close(alone_BC, logits_BC, "the answer depends on what else is in the batch")
    if inputs.ndim == 4:
        last_BC = network(inputs.to(memory_format=torch.channels_last))
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
