"""Packing: several texts in a row, and nothing is learned differently."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as some

from engram.core.task import Batch
from engram.core.vocabulary import BEGIN, END, PADDING
from engram.models.encoder_decoder import EncoderDecoder
from engram.tasks._packing import side_by_side
from engram.tasks.translation import Translation


@given(some.lists(some.tuples(some.integers(1, 90), some.integers(1, 90)), min_size=1, max_size=40))
def test_every_token_has_a_place_of_its_own_in_the_row_of_its_example(lengths):
    packings = side_by_side(*torch.tensor(lengths).unbind(1))
    for packing, length_B in zip(packings, torch.tensor(lengths).unbind(1), strict=True):
        assert packing.row.equal(packings[0].row)
        number_BT = torch.arange(1, 91).expand(len(lengths), 90) + 100 * torch.arange(len(lengths))[:, None]
        packed_RL = packing(number_BT)
        assert (
            sorted(packed_RL[packed_RL != PADDING].tolist()) == number_BT[number_BT % 100 <= length_B[:, None]].tolist()
        )


def test_pairs_that_share_rows_are_learned_as_if_each_had_its_own():
    torch.manual_seed(0)
    network = EncoderDecoder(vocabulary=50, width=32, heads=2, dropout=0.0).train()
    batch = Batch(rows=np.arange(30), importance=torch.rand(30), source=_texts(30), target=_texts(30))
    found = []
    for network.packs in (True, False):
        step = Translation().step(network, batch)
        gradients = torch.autograd.grad(step.loss_sum, list(network.parameters()))
        found.append([step.loss_sum, step.weight, *gradients])
    for packed, plain in zip(*found, strict=True):
        torch.testing.assert_close(packed, plain, rtol=1e-3, atol=1e-4)
    assert step.output.shape == (30, 29)


def _texts(number: int) -> torch.Tensor:
    text_BT = torch.randint(4, 50, (number, 30))
    text_BT[:, 0] = BEGIN
    for row, length in enumerate(torch.randint(2, 30, (number,)).tolist()):
        text_BT[row, length] = END
        text_BT[row, length + 1 :] = PADDING
    return text_BT
