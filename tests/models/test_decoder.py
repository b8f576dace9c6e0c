"""The decoder: what it remembers changes nothing, in its own loop and in the one that writes."""

import pytest
import torch

from engram.core.vocabulary import BEGIN
from engram.models.decoder import Decoder
from engram.models.layers.attend import _HalfSquare, _in_steps, _Normalised, attend, heads
from engram.models.layers.transformer import Rotary
from engram.optim.build import grouped
from engram.predict.writing import Writer
from engram.tasks._tokens import Sampling


def decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder(vocabulary=40, context=24, width=32, layers=2, heads=2).eval()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_writing_with_a_cache_equals_reading_all_again_beyond_the_context_too(temperature: float) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=60, seed=3)
    cached, again = (Writer(decoder(), 24, 40, cached=cached) for cached in (True, False))
    written = list(cached.write([BEGIN, 7, 8, 9], sampling))
    assert written == list(again.write([BEGIN, 7, 8, 9], sampling))
    assert len(written) > 24


@torch.no_grad()
def test_logits_with_a_cache_are_those_without() -> None:
    network, text = decoder(), torch.randint(4, 40, (2, 20))
    caches = network.caches(2)
    pieces = [network(text[:, :9], caches), *(network(text[:, [at]], caches) for at in range(9, 20))]
    torch.testing.assert_close(torch.cat(pieces, 1), network(text), rtol=1e-5, atol=1e-5)


def test_every_weight_has_the_optimizer_that_suits_it() -> None:
    network = decoder()
    groups = grouped(network)
    assert groups["head"] == [network.head.weight]
    assert groups["other"] == [network.embedding.weight]
    assert len(groups["matrices"]) == 2 * 6


def test_attention_in_steps_is_attention_under_any_mask() -> None:
    query, key, value = torch.randn(3, 2, 4, 6, 8).unbind()
    document = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])
    mask = (document[:, :, None] == document[:, None, :])[:, None]
    for given, causal in ((None, True), (None, False), (mask, True), (mask, False)):
        expected = attend(query, key, value, mask=given, causal=causal)
        torch.testing.assert_close(_in_steps(query, key, value, mask=given, causal=causal), expected)


@pytest.mark.parametrize("function", [_Normalised, _HalfSquare])
def test_gradients_written_by_hand(function: type[torch.autograd.Function]) -> None:
    assert torch.autograd.gradcheck(function.apply, torch.randn(3, 5, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_heads_in_training_are_those_without_gradients_and_have_the_right_ones(parts: int) -> None:
    rotation = Rotary(6)(5, dtype=torch.float64)
    given, turned = torch.randn(2, 5, parts, 2, 6, dtype=torch.float64, requires_grad=True), max(1, parts - 1)
    for turn in (rotation, None):
        for mine, plain in zip(
            heads(given, turn, turned=turned), heads(given.detach(), turn, turned=turned), strict=True
        ):
            torch.testing.assert_close(mine, plain)
        assert torch.autograd.gradcheck(lambda x, turn=turn: heads(x, turn, turned=turned), given)
