"""Write on from a prompt, token by token: what language models and conversations answer with.

The network remembers keys and values of what it has read, so that each token is read once. Where its context is full,
the older half is forgotten, and the rest is read again.

Shapes: V ids of the vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.vocabulary import BEGIN, END, PADDING, UNKNOWN

NEVER = (PADDING, BEGIN, UNKNOWN)
"""What is never written."""

SAFEST = 1e-4
"""At temperatures below this nothing but the likeliest is ever drawn, and logits over them are no numbers."""

BROKEN = "\ufffd"
LONGEST_CHARACTER = 4
"""Bytes of UTF-8 that a character may take: what is broken for longer is broken."""


@dataclass
class Writer:
    """A network that reads and writes ids. context: how many it sees at once. most: ids below this may be written."""

    network: nn.Module
    context: int
    most: int
    cached: bool = True
    _caches: Any = None
    _seen: list[int] = field(default_factory=list)

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> Tensor:
        """Read further ids; return the logits (V,) of the next one."""
        self._seen += ids
        if len(self._seen) > self.context:
            self._seen = kept(self._seen, self.context)
            self._caches, ids = None, self._seen
        if not (self.cached and hasattr(self.network, "caches")):
            return self.network(torch.tensor([self._seen]))[0, -1].float()
        if self._caches is None:
            self._caches, ids = self.network.caches(), self._seen  # type: ignore[operator]
        return self.network(torch.tensor([list(ids)]), self._caches)[0, -1].float()

    def write(self, ids: Sequence[int], sampling: Any) -> Iterator[int]:
        """Read ids, and yield what follows them, until END or so many tokens as `sampling` allows."""
        seed = random.getrandbits(63) if sampling.seed is None else sampling.seed
        chance = torch.Generator().manual_seed(seed)
        logits = self.read(ids)
        for number in range(sampling.max_tokens):
            chosen = drawn(logits[: self.most], sampling, chance)
            if chosen == END:
                return
            yield chosen
            if number + 1 < sampling.max_tokens:
                logits = self.read([chosen])


def kept(ids: Sequence[int], context: int) -> list[int]:
    """What is still seen of more ids than the context holds: as many of the last as half of it."""
    return list(ids) if len(ids) <= context else list(ids[-(context // 2) :])


def drawn(logits_V: Tensor, sampling: Any, chance: torch.Generator) -> int:
    """Draw an id; temperature 0, or next to it, takes the likeliest."""
    logits_V = logits_V.clone()
    logits_V[list(NEVER)] = -torch.inf
    if sampling.temperature < SAFEST:
        return int(logits_V.argmax())
    share_V, id_V = (logits_V / sampling.temperature).softmax(0).sort(descending=True, stable=True)
    if sampling.top_k:
        share_V[sampling.top_k :] = 0
    if sampling.top_p < 1:
        share_V[share_V.cumsum(0) - share_V >= sampling.top_p] = 0  # the likeliest always stays
    return int(id_V[torch.multinomial(share_V, 1, generator=chance)])


@dataclass
class Stream:
    """Turns ids into text as they come: whole characters only, and nothing of a text at which to stop.

    tokenizer: decodes. before: the last ids of what was read, on which spaces may depend. ended: "stop" once such a
    text was met.
    """

    tokenizer: Any
    before: Sequence[int] = ()
    stop: Sequence[str] = ()
    ended: str = ""
    _ids: list[int] = field(default_factory=list)
    _held: str = ""

    def __post_init__(self) -> None:
        self._ids = list(self.before[-LONGEST_CHARACTER:])
        self._read = len(self._ids)

    def add(self, token: int) -> str:
        """Take an id; return the text that is certain now, which may be none."""
        self._ids.append(token)
        known = self.tokenizer.decode(self._ids[: self._read])
        text = self.tokenizer.decode(self._ids)
        fresh = text[len(known) :]
        if fresh.endswith(BROKEN) and len(self._ids) - self._read < LONGEST_CHARACTER:
            return ""
        self._ids, self._read = self._ids[-LONGEST_CHARACTER:], min(len(self._ids), LONGEST_CHARACTER)
        return self._certain(fresh)

    def rest(self) -> str:
        """What was held back and has come to nothing."""
        known = self.tokenizer.decode(self._ids[: self._read])
        held, self._held = self._held + self.tokenizer.decode(self._ids)[len(known) :], ""
        return "" if self.ended else held

    def _certain(self, fresh: str) -> str:
        text = self._held + fresh
        places = [place for place in (text.find(stop) for stop in self.stop if stop) if place >= 0]
        if places:
            self.ended, self._held = "stop", ""
            return text[: min(places)]
        held = max((_overlap(text, stop) for stop in self.stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of a text may be the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
