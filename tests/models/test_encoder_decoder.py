"""The encoder-decoder: what it writes is what its own probabilities say, step by step."""

from __future__ import annotations

import pytest
import torch

from engram.core.vocabulary import BEGIN, END, PADDING
from engram.models._beam_search import NEVER
from engram.models.encoder_decoder import EncoderDecoder

NUM_IDS = 14


@pytest.fixture(scope="module")
def network() -> EncoderDecoder:
    torch.manual_seed(0)
    made = EncoderDecoder(vocabulary=NUM_IDS, width=32, heads=2, encoder_layers=2, decoder_layers=2)
    with torch.no_grad():
        made.embedding.weight[END] *= 1.5  # so that texts end, at different lengths
        for name, weight in made.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                weight *= 6  # and do not repeat what they begin with
    return made.eval()


@pytest.fixture(scope="module")
def source() -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(4, NUM_IDS, (12, 9), generator=random)
    ids[:, 0] = BEGIN
    for row in range(12):
        ids[row, 3 + row % 6 :] = PADDING
    return ids


@torch.no_grad()
def greedy_without_cache(network: EncoderDecoder, source: torch.Tensor, longest: int) -> list[int]:
    """One source, everything computed anew for every token."""
    written = [BEGIN]
    while written[-1] != END:
        logits = network(source[None, source != PADDING], torch.tensor([written]))[0, -1]
        logits[list(NEVER)] = -torch.inf
        written.append(END if len(written) == longest else int(logits.argmax()))
    return written[1:]


def test_one_hypothesis_with_a_cache_writes_what_the_network_without_one_does(network, source):
    longest = 12
    ids, _ = network.write(source, beam=1, length_penalty=1.0, longest_B=torch.full((12,), longest))
    expected = [greedy_without_cache(network, one, longest) for one in source]
    assert [[i for i in row.tolist() if i != PADDING] for row in ids] == expected
    assert len({len(text) for text in expected}) > 1, "texts of different lengths test more"


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 4])
def test_scores_are_those_of_the_network_that_reads_the_whole_text(network, source, beam):
    ids, score = network.write(source, beam=beam, length_penalty=0.7, longest_B=torch.full((12,), 12))
    given = torch.cat([torch.full((12, 1), BEGIN), ids[:, :-1]], 1)
    logp = network(source, given).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    length = (ids != PADDING).sum(1)
    expected = (logp * (ids != PADDING)).sum(1) / length**0.7
    torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-4)


def test_no_score_is_below_that_of_a_greedy_search(network, source):
    most = torch.full((12,), 12)
    greedy = network.write(source, beam=1, length_penalty=1.0, longest_B=most)[1]
    assert (network.write(source, beam=3, length_penalty=1.0, longest_B=most)[1] >= greedy - 1e-5).all()


@torch.no_grad()
def test_padding_of_the_source_and_later_tokens_change_nothing(network, source):
    target = torch.randint(4, NUM_IDS, (12, 7), generator=torch.Generator().manual_seed(2))
    target[:, 0] = BEGIN
    logits = network(source, target)
    row = source[3]
    alone = network(row[None, row != PADDING], target[3:4, :4])
    torch.testing.assert_close(alone[0], logits[3, :4], rtol=1e-4, atol=1e-4)


def test_attention_is_shared_out_among_the_tokens_of_the_source(network, source):
    target = torch.tensor([[BEGIN, 4, 5, 6, 7]]).expand(12, 5)
    weights = network.attention(source, target)
    assert weights.shape == (12, 5, 9)
    torch.testing.assert_close(weights.sum(-1), torch.ones(12, 5))
    assert (weights[(source == PADDING)[:, None].expand_as(weights)] == 0).all()
