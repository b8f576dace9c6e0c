"""The loss of saying what comes next out of very many items: the softmax over all of them, or over some.

Shapes: P places, D width, I items, C candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MOST_LOGITS = 40_000_000
"""Numbers for which there is room at once."""

SAMPLED = 8_192
"""Items that stand for all others where places times items are more than that."""


def next_item(state_PD: Tensor, next_P: Tensor, vector_ID: Tensor, bias_I: Tensor) -> Tensor:
    """Return the cross entropy (P,), in nats, of items (numbers from 0 on) given what is known before them.

    Where the logits of all items have no room, those that are next somewhere and some drawn at random stand for all;
    each drawn one counts for as many as it stands for (Bengio and Senécal 2008, "Adaptive importance sampling").
    """
    if len(next_P) * len(bias_I) <= MOST_LOGITS:
        return functional.cross_entropy(
            functional.linear(state_PD, vector_ID.to(state_PD.dtype)).float() + bias_I, next_P, reduction="none"
        )
    drawn_C = torch.randint(len(bias_I), (SAMPLED,), device=next_P.device)
    present_C, place_P = next_P.unique(return_inverse=True)
    drawn_C = drawn_C[~torch.isin(drawn_C, present_C)]
    chosen_C = torch.cat([present_C, drawn_C])
    weight = (len(bias_I) - len(present_C)) / max(1, len(drawn_C))
    stands_C = bias_I.new_zeros(len(chosen_C))
    stands_C[len(present_C) :] = torch.tensor(weight).log()
    logits_PC = functional.linear(state_PD, vector_ID[chosen_C].to(state_PD.dtype)).float()
    return functional.cross_entropy(logits_PC + bias_I[chosen_C] + stands_C, place_P, reduction="none")
