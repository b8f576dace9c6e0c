"""Conversation: learn from dialogues to answer in them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from engram.core.answers import Tokens
from engram.core.claim import Claim
from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample
from engram.core.vocabulary import END, NUM_SPECIAL, PADDING
from engram.data import windows
from engram.data.examples import Examples
from engram.data.table import Table
from engram.features.turns import Turns
from engram.tasks._tokens import Sampling, TokenTask, nats

MOST_REPLIED = 40
"""Tokens of a reply that is written only to be explained."""


class Conversation(TokenTask):
    """Learn to reply. Replies alone are learned and scored; what they answer is read."""

    does: ClassVar = "replies in conversations"
    inputs: ClassVar = {"text": Turns}
    answers: ClassVar = Tokens(Sampling, converses=True)

    def matches(self, table: Table) -> Evidence:
        """A column of conversations."""
        return max((Turns.matches(column) for column in table.columns.values()), key=lambda found: found.score)

    def examples(self, examples: Examples) -> windows.Windows:
        """Windows over conversations, one after the other."""
        stored = examples.stored["text"]

        def read(row: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            ids, replies = (windows.part(stored.arrays[name], row, start, stop) for name in ("tokens", "replies"))
            return ids.astype(np.int64), replies.astype(bool)

        return windows.over(examples, role="text", tokens="tokens", context=self.answers.context, read=read, ends=False)

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The reply that a conversation ends with, and how likely other words before it make each of its tokens.

        Where the last turn is empty, the reply is the likeliest one.
        """
        size = features.text.tokenizer.size
        asked_N, reply_R = _divided(example.text[0], size)
        if len(reply_R) == 1:
            reply_R = self._replied(model, asked_N, size)

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            asked = [_divided(ids, size)[0] for ids in batch.text]
            text_BT = pad_sequence([torch.cat([ids, reply_R]) for ids in asked], True, PADDING)
            begin_B1 = torch.tensor([[len(ids)] for ids in asked], device=text_BT.device)
            place_BR = begin_B1 - 1 + torch.arange(len(reply_R), device=text_BT.device)
            return -nats(model, text_BT, context=self.answers.context).gather(1, place_BR).mean(1)

        said = features.text.tokenizer.decode([token for token in reply_R.tolist() if token < size])
        return Claim.text(scores, said.strip() or "nothing", behind=len(reply_R) - 1)

    def _replied(self, model: nn.Module, asked_N: Tensor, size: int) -> Tensor:
        """The likeliest token after each other, up to END."""
        text_N = asked_N
        while text_N[-1] != END and len(text_N) - len(asked_N) < MOST_REPLIED:
            next_V = model(text_N[None, -self.answers.context :])[0, -1, :size].clone()
            next_V[[special for special in range(NUM_SPECIAL) if special != END]] = -torch.inf
            text_N = torch.cat([text_N, next_V.argmax()[None]])
        return text_N[len(asked_N) :]

    def completed(self, answer: dict[str, Any], stored: Mapping[str, Any], features: Any) -> dict[str, Any]:
        """Of what nobody has replied to there is nothing to be said."""
        return answer if stored["text"]["turns"][-1, 1] else {}

    @classmethod
    def sample(cls) -> Sample:
        """Made dialogues, whose answers follow from the questions."""
        chance = random.Random(0)
        answers = {"how are you": "fine, thank you", "what is this": "a small bird", "where is it": "behind the house"}
        dialogues: list[Any] = []
        for _ in range(600):
            asked = chance.choices(list(answers), k=3)
            turns = [turn for question in asked for turn in (("user", question), ("assistant", answers[question]))]
            dialogues.append([{"role": role, "content": text} for role, text in turns])
        return Sample(data={"messages": dialogues}, score=0.5, options={"steps": 60})


def _divided(ids: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What comes before the text of the last turn, and that text with its END; roles have ids from `size` on."""
    begin = int((ids >= size).nonzero()[-1]) + 1
    return ids[:begin], ids[begin:][ids[begin:] != PADDING]
