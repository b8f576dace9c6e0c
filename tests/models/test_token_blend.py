"""A blend of network and floor says the same of a text and of what follows it, with and without a memory."""

import pytest
import torch
from torch import nn

from engram.core.task import Batch
from engram.core.vocabulary import BEGIN
from engram.floors.n_gram import Counted
from engram.models.decoder import Decoder
from engram.models.token_blend import TokenBlend
from engram.predict.writing import Writer
from engram.tasks._tokens import Sampling
from engram.tasks.language_modelling import LanguageModelling

TEXT = torch.randint(4, 20, (30, 40), generator=torch.Generator().manual_seed(0)).cumsum(1) % 16 + 4
TEXT[:, 0] = BEGIN


class Forgetful(nn.Module):
    """A network of one's own that has no caches."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)

    def forward(self, text_BT: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(text_BT).cumsum(1))


def blend(network: nn.Module) -> TokenBlend:
    floor = Counted(20)
    floor.count(TEXT.numpy())
    made = TokenBlend(network, floor, name="n_gram", kinds=floor.kinds)
    made.share.copy_(torch.linspace(0, 1, floor.kinds))
    return made.eval()


@pytest.fixture(params=["decoder", "forgetful"])
def blended(request: pytest.FixtureRequest) -> TokenBlend:
    torch.manual_seed(0)
    network = Decoder(vocabulary=20, context=64, width=16, layers=1, heads=1)
    return blend(network if request.param == "decoder" else Forgetful())


@torch.no_grad()
def test_what_it_says_follows_is_what_it_scores_texts_by(blended: TokenBlend) -> None:
    logits = blended(TEXT[:2, :-1])
    assert torch.allclose(logits.exp().sum(-1), torch.ones(2, 39), atol=1e-4)
    said = -logits.gather(-1, TEXT[:2, 1:, None])[..., 0]
    scored = LanguageModelling().predict(blended, Batch(rows=[0, 1], text=TEXT[:2]), None)
    torch.testing.assert_close(said, scored, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_what_it_remembers_changes_nothing(blended: TokenBlend) -> None:
    caches, text = blended.caches(2), TEXT[:2, :12]
    pieces = [blended(text[:, :5], caches), *(blended(text[:, [at]], caches) for at in range(5, 12))]
    torch.testing.assert_close(torch.cat(pieces, 1), blended(text), rtol=1e-4, atol=1e-4)


def test_writing_with_a_cache_equals_reading_all_again(blended: TokenBlend) -> None:
    cached, again = (Writer(blended, 24, 20, cached=cached) for cached in (True, False))
    sampling = Sampling(temperature=0, max_tokens=60)
    assert list(cached.write([BEGIN, 7, 8], sampling)) == list(again.write([BEGIN, 7, 8], sampling))
