"""Claim: an answer of a task, put so that any other input can be asked how much it speaks for it.

Attribution, deletion tests and the search for what would change an answer know answers by this alone, whatever a task
answers with.

Shapes: B inputs, A answers that are possible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Claim:
    """scores: of a model and a batch, (B, A): how much each input speaks for each possible answer.

    chosen: the answer that was given. name: of an answer, in the user's terms. log_odds: whether scores are log-odds;
    else they are numbers in the user's unit. exclusive: whether the highest score is the answer; else all above zero
    are. behind: positions in the network that follow those of the input itself. each: what a probability is of, where
    it is not of the whole answer. Scores are differentiable as far as the model is.
    """

    scores: Callable[[Any, Any], Tensor]
    chosen: int
    name: Callable[[int], str]
    log_odds: bool = True
    exclusive: bool = True
    behind: int = 0
    each: str = ""

    def holds(self, scores_BA: Tensor) -> Tensor:
        """Tell (bool (B,)) for which inputs the answer would be the same; a number is never another answer."""
        if not self.log_odds:
            return torch.ones(len(scores_BA), dtype=torch.bool, device=scores_BA.device)
        return scores_BA.argmax(1) == self.chosen if self.exclusive else scores_BA[:, self.chosen] > 0

    @classmethod
    def text(cls, scores: Callable[[Any, Any], Tensor], written: str, *, behind: int = 0) -> Claim:
        """A text that was written. scores: the mean log-probability (B,) of its tokens."""

        def odds(model: Any, batch: Any) -> Tensor:
            mean_B = scores(model, batch).double().clamp(max=-1e-9)
            return (mean_B - (-torch.expm1(mean_B)).log())[:, None]

        return cls(odds, 0, lambda _: f"“{written}”", behind=behind, each="a token, on average")


def log_odds(logits_BC: Tensor) -> Tensor:
    """Return the log-odds (B, C) of each class against all others; exact for classes that are all but certain."""
    if logits_BC.shape[1] == 1:
        return logits_BC
    below_BC = _before(logits_BC.logcumsumexp(1))
    above_BC = _before(logits_BC.flip(1).logcumsumexp(1)).flip(1)
    return logits_BC - torch.logaddexp(below_BC, above_BC)


def _before(total_BC: Tensor) -> Tensor:
    """Each total without its own class."""
    nothing_B1 = torch.full_like(total_BC[:, :1], -torch.inf)
    return torch.cat([nothing_B1, total_BC[:, :-1]], 1)
