"""What tasks share that learn which token comes next: the network, the loss, the scores.

Shapes: B windows or texts, T tokens to be predicted, V ids of the vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engram.core.answers import Tokens
from engram.core.claim import Claim, log_odds
from engram.core.task import Batch, Step, Task, Worth
from engram.core.vocabulary import BEGIN, NUM_SPECIAL, PADDING
from engram.floors.n_gram import NGram
from engram.losses.token_cross_entropy import token_cross_entropy
from engram.metrics.bits_per_byte import BitsPerByte
from engram.metrics.perplexity import Perplexity
from engram.metrics.token_cross_entropy import TokenCrossEntropy
from engram.models import build
from engram.models.decoder import sized
from engram.models.token_blend import TokenBlend

MOST_LOGITS = 30_000_000
"""Numbers that answers may take at a time."""


@dataclass
class Sampling:
    """How tokens are drawn. The same seed draws the same ones."""

    temperature: float = field(default=0.8, metadata={"help": "below 1 safer, above 1 bolder; 0: always the likeliest"})
    top_p: float = field(default=1.0, metadata={"help": "draw among the likeliest that together have this probability"})
    top_k: int = field(default=0, metadata={"help": "draw among so many of the likeliest; 0 for all"})
    max_tokens: int = field(default=500, metadata={"help": "the most tokens to write"})
    stop: tuple[str, ...] = field(default=(), metadata={"help": "text at which to stop; repeat for several"})
    seed: int | None = field(default=None, metadata={"help": "draw the same every time"})


class TokenTask(Task):
    """Predict every token from those before it. Where its texts come from, a task says itself."""

    example: ClassVar = "window"
    answers: ClassVar = Tokens(Sampling)
    metrics = (TokenCrossEntropy(), Perplexity(), BitsPerByte())
    floors: ClassVar = (NGram(),)
    sizes: ClassVar = {  # a guess, not measured: in the time that medium sees these, small sees twice as many
        "medium": Worth(rows=1_000, passes=math.inf, examples=28_000),
        "large": Worth(rows=20_000, passes=math.inf, examples=200_000),
    }

    def model(self, size: str, features: Any) -> nn.Module:
        """A transformer that reads a text from its beginning."""
        return build.named("decoder", vocabulary=features.text.size, context=self.answers.context, **sized(size))

    def most_passes(self, rows: int) -> float:
        """A guess, not measured: beyond these a text is learned by heart."""
        return 40

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy of every token that is asked for."""
        logits_BTV = model(batch.text[:, :-1])
        nats_BT = token_cross_entropy(logits_BTV, batch.text[:, 1:])
        return Step((nats_BT * batch.scored).sum(), weight=batch.scored.sum(), output=nats_BT.detach())

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Tensor:
        """Return the nats (B, T) of each token of texts (B, T + 1) but the first, -1 where there is none."""
        return nats(model, inputs.text, context=self.answers.context).masked_fill(~asked(inputs.text), -1.0)

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The likeliest next token, from as much of a text's end as the network sees at once."""

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            length_B = (batch.text != PADDING).sum(1)
            start_B = (length_B - self.answers.context).clamp(min=0)
            place_BT = start_B[:, None] + torch.arange(
                min(self.answers.context, batch.text.shape[1]), device=start_B.device
            )
            seen_BT = batch.text.gather(1, place_BT.clamp(max=batch.text.shape[1] - 1))
            size = max(1, MOST_LOGITS // (seen_BT.shape[1] * features.text.size))
            pieces = zip(seen_BT.split(size), (length_B - 1 - start_B).split(size), strict=True)
            next_BV = torch.cat([model(text)[torch.arange(len(text)), last] for text, last in pieces])
            return log_odds(next_BV.double().index_fill(1, torch.arange(NUM_SPECIAL, device=seen_BT.device), -1e4))

        chosen = int(scores(model, example)[0].argmax())
        return Claim(scores, chosen, lambda number: repr(features.text.tokenizer.decode([number])))

    def graph(self, model: nn.Module, inputs: Batch) -> Tensor:
        """What is exported: logits (B, T, V) of the token after each; whoever runs it draws from them."""
        logits_BTV: Tensor = model(inputs.text)
        return logits_BTV

    def decode(self, output: Tensor, features: Any, options: Any) -> list[dict[str, Any]]:
        """How surprising each text is."""
        return [_told(nats_T[nats_T >= 0].double()) for nats_T in output]


def _told(nats_N: Tensor) -> dict[str, Any]:
    mean = float(nats_N.mean()) if len(nats_N) else None
    perplexity = math.exp(min(mean, 700.0)) if mean is not None else None
    return {"cross_entropy": mean, "perplexity": perplexity, "tokens": len(nats_N)}


def asked(text_BT: Tensor) -> Tensor:
    """Whether each token but the first is one to be predicted: it is there, and begins no document."""
    return (text_BT[:, 1:] != PADDING) & (text_BT[:, 1:] != BEGIN)


def nats(model: nn.Module, text_BT: Tensor, *, context: int) -> Tensor:
    """Return the nats (B, T) of each token of texts but the first, by a network, a floor, or a blend of the two."""
    if isinstance(model, TokenBlend):
        return model.surprise(nats(model.network, text_BT, context=context), text_BT)
    own: Any = getattr(model, "surprise", None)  # a floor knows the tokens' probabilities without those of all others
    found_BT: Tensor = own(text_BT) if own is not None else in_pieces(model, text_BT, context=context)
    return found_BT


def in_pieces(model: nn.Module, text_BT: Tensor, *, context: int) -> Tensor:
    """Return the nats of texts of any length: each token is read with half a context before it, or all there is."""
    stride, length = context // 2, text_BT.shape[1] - 1
    found = text_BT.new_zeros(len(text_BT), length, dtype=torch.float32)
    for start in range(0, max(1, length - context + stride), stride):
        window_BT = text_BT[:, start : start + context + 1]
        known = context - stride if start else 0
        found[:, start + known : start + context] = _by_rows(model, window_BT)[:, known:]
    return found


def _by_rows(model: nn.Module, window_BT: Tensor) -> Tensor:
    """A few rows at a time, so that the logits of all ids fit into memory."""
    found, size = [], max(1, MOST_LOGITS // (window_BT.shape[1] * int(model(window_BT[:1, :1]).shape[-1])))
    for rows in window_BT.split(size):
        found.append(token_cross_entropy(model(rows[:, :-1]), rows[:, 1:]))
    return torch.cat(found)
