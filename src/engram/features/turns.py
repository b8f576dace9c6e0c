"""Turns: a conversation as the texts that were said and who said them, seen by networks as one row of ids.

The template: BEGIN, then of every turn the id of its role, the ids of its text, and END. Roles have the ids that follow
the tokenizer's own. What is learned is the replies; the rest is read.

Shapes: B conversations, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError, unknown
from engram.core.evidence import Evidence
from engram.core.vocabulary import BEGIN, END, PADDING
from engram.features._tokenizers import KINDS, TOKENIZER, Tokenizer, decoded, pieces
from engram.features.feature import Arrays, Entry, Feature
from engram.features.text import AUTO, fitted_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from engram.core.parts import Parts

ROLES = ("system", "user", "assistant")
REPLIES = ("assistant", "all")

BYTES_PER_PIECE, LEAST_PIECES, MOST_PIECES = 800, 500, 8000
"""Of training text for each subword of the vocabulary, and their number at least and at most."""

Turn = tuple[str, str]


class Turns(Feature):
    """A conversation. tokenizer: a kind out of `KINDS`; "auto" takes subwords.

    replies: whose turns are learned: those of the assistant, or "all" but each conversation's first, where nobody is
    named and both sides answer one another.
    """

    wishes = (TOKENIZER,)
    thing = "conversation"
    typed = True
    varying = {1: "length"}  # noqa: RUF012  (declared in the base class)
    least_reply = 64
    """Tokens for which a prompt leaves room."""

    def __init__(self, *, tokenizer: str = AUTO, replies: str = "assistant") -> None:
        if tokenizer not in (AUTO, *KINDS):
            raise unknown("tokenizer", tokenizer, [AUTO, *KINDS])
        if replies not in REPLIES:
            raise unknown("replies", replies, REPLIES)
        self.wanted, self.replies = tokenizer, replies
        self._tokenizer: Tokenizer | None = None

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Conversations as the reader found them."""
        if column.kind != "turns":
            return Evidence(0.0, f"its values are of kind {column.kind}")
        lengths = [len(value) for value in column.values[:2000] if value]
        if not lengths:
            return Evidence(0.0, "it is empty")
        return Evidence(1.0, f"conversations of {np.mean(lengths):.0f} turns")

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> Turns:
        """Where speakers have no names, both sides answer one another."""
        return cls(replies="assistant" if column.named else "all", **wishes)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"tokenizer": self.wanted, "replies": self.replies}

    def store_keys(self) -> list[dict[str, Any]]:
        """What is stored depends on nothing."""
        return [{}]

    @property
    def tokenizer(self) -> Tokenizer:
        """The fitted tokenizer."""
        assert self._tokenizer is not None, "a feature is fitted before it encodes"
        return self._tokenizer

    @property
    def size(self) -> int:
        """The number of ids: the tokenizer's, and the roles'."""
        return self.tokenizer.size + len(ROLES)

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Return {"utf8": uint8 (n,), "turns": int32 (turns, 2), each role and bytes}. DataError for no talk.

        A text is what a user says, to which there is no reply yet.
        """
        if isinstance(value, str):
            value = [("user", value), ("assistant", "")]
        if not isinstance(value, list | tuple) or not all(isinstance(turn, list | tuple) for turn in value):
            raise DataError(f"expected a conversation, a list of (role, text); got {type(value).__name__}")
        if len(value) < 2:
            raise DataError("the conversation has no reply")
        texts = [text.encode("utf-8", "replace") for _, text in value]
        roles = [ROLES.index(role) if role in ROLES else ROLES.index("user") for role, _ in value]
        turns = np.array([roles, list(map(len, texts))], np.int32).T
        return {"utf8": np.frombuffer(b"".join(texts), np.uint8), "turns": np.ascontiguousarray(turns)}

    def entry(self) -> Entry:
        """The turns one after the other, as conversations are written in JSONL."""
        turn = {
            "type": "object",
            "properties": {"role": {"enum": list(ROLES)}, "content": {"type": "string"}},
            "required": ["role", "content"],
            "additionalProperties": False,
        }
        return Entry(
            kind="turns",
            unit="characters",
            schema={"type": "array", "items": turn, "minItems": 2},
            example=[{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello to you."}],
        )

    def received(self, value: Any, *, most: int) -> list[Turn]:
        """Take a list of {"role", "content"} whose texts have at most so many characters."""
        if not isinstance(value, list):
            raise DataError(f"expected a conversation, a list of turns; got {type(value).__name__}")
        turns = [_turn(turn) for turn in value]
        if (number := sum(len(text) for _, text in turns)) > most:
            raise DataError(f"expected at most {most:,} characters; the conversation has {number:,}")
        return turns

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn the vocabulary from what is said in training rows."""
        if self._tokenizer is None:
            size = int(np.clip(stored.sizes("utf8", rows).sum() // BYTES_PER_PIECE, LEAST_PIECES, MOST_PIECES))
            subwords = self.wanted in (AUTO, "subwords")
            kind = "subwords" if subwords else self.wanted
            self._tokenizer = fitted_tokenizer([stored], [rows], kind=kind, size=size if subwords else 0)

    def refined(self, stored: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Write every conversation in the template once, and say of each token whether it is of a reply."""
        rows = np.flatnonzero(stored.ok)
        sizes = np.zeros(len(stored), np.int64)
        found = [self._written(*(stored.arrays[name][row] for name in ("utf8", "turns"))) for row in rows]
        sizes[rows] = [len(ids) for ids, _ in found]
        tokens = np.concatenate([ids for ids, _ in found]) if found else np.zeros(0, np.int32)
        replies = np.concatenate([asked for _, asked in found]) if found else np.zeros(0, bool)
        return {"tokens": (tokens.astype(np.int32), sizes), "replies": (replies.astype(np.uint8), sizes)}

    def _written(self, utf8: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a conversation without BEGIN, and whether each is of a reply, its END included."""
        texts = np.split(utf8, np.cumsum(turns[:-1, 1]))
        ids: list[np.ndarray] = []
        asked: list[np.ndarray] = []
        for number, (role, said) in enumerate(zip(turns[:, 0], self.tokenizer.encode(texts), strict=True)):
            ids.append(np.concatenate([[self.tokenizer.size + role], said, [END]]))
            reply = ROLES[role] == "assistant" if self.replies == "assistant" else number > 0
            asked.append(np.arange(len(said) + 2) > 0 if reply else np.zeros(len(said) + 2, bool))
        return np.concatenate(ids), np.concatenate(asked)

    def lengths(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """Return how many tokens conversations have."""
        if "tokens" in stored.arrays:
            return stored.sizes("tokens", rows) + 1
        return np.array([len(ids) + 1 for ids in self.ids(stored.gather(rows))])

    def ids(self, gathered: Arrays) -> list[np.ndarray]:
        """Return the ids of gathered conversations, without BEGIN."""
        if "tokens" in gathered:
            return list(gathered["tokens"])
        return [self._written(utf8, turns)[0] for utf8, turns in zip(gathered["utf8"], gathered["turns"], strict=True)]

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return ids, int64 (B, T), each conversation begun by BEGIN, padded at its end with PADDING."""
        import torch

        found = self.ids(gathered)
        text_BT = np.full((len(found), 1 + max(map(len, found), default=0)), PADDING, np.int64)
        text_BT[:, 0] = BEGIN
        for row, ids in enumerate(found):
            text_BT[row, 1 : len(ids) + 1] = ids
        return torch.from_numpy(text_BT)

    def parts(self, gathered: Arrays) -> Parts | None:
        """The words of all turns but the last, the reply, which they are to explain."""
        from engram.features._parts_of_turns import parts_of

        (utf8,), (turns,) = gathered["utf8"], gathered["turns"]
        texts = np.split(utf8, np.cumsum(turns[:-1, 1]))
        said = [(ROLES[role], decoded(text)) for role, text in zip(turns[:, 0].tolist(), texts, strict=True)]

        def encode(talks: list[Sequence[Turn]]) -> Tensor:
            stored = [self.store(list(talk)) for talk in talks]
            return self.encode({name: [value[name] for value in stored] for name in ("utf8", "turns")})

        ids = [list(map(int, ids)) for ids in self.tokenizer.encode(texts)]
        return parts_of(said, encode=encode, ids=ids, decode=self.tokenizer.decode)

    def decode(self, encoded: Any) -> list[list[Turn]]:
        """Return the conversations of ids (B, T)."""
        return [self._turns(row) for row in encoded.tolist()]

    def _turns(self, ids: Sequence[int]) -> list[Turn]:
        starts = [place for place, token in enumerate(ids) if token >= self.tokenizer.size]
        parts = [ids[start + 1 : stop] for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True)]
        roles = [ROLES[ids[start] - self.tokenizer.size] for start in starts]
        return [(role, self.tokenizer.decode(part)) for role, part in zip(roles, parts, strict=True)]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id's part of what is said; roles as a line of their own."""
        found = pieces(self.tokenizer, ids)
        roles = {self.tokenizer.size + number: f"\n{role}: " for number, role in enumerate(ROLES)}
        return [roles.get(token, piece) for token, piece in zip(ids, found, strict=True)]

    def opening(self, ids: Sequence[int], *, most: int) -> list[int]:
        """The first ids of a conversation up to a turn of the assistant or else of the other side."""
        speaks = [at for at, token in enumerate(ids) if token >= self.tokenizer.size]
        replies = [at for at in speaks if ids[at] == self.tokenizer.size + ROLES.index("assistant")]
        chosen = [at for at in (replies or speaks[1:]) if at > 1]
        return list(ids[: chosen[0] + 1]) if chosen else list(ids[:most])

    def begun(self, ids: Sequence[int], *, most: int) -> list[Turn] | None:
        """The turns with which a piece of conversation begins, up to one to which a reply is asked for."""
        starts = [at for at, token in enumerate(ids) if token >= self.tokenizer.size]
        turns = self._turns(self.opening(ids[starts[0] :], most=most)) if starts else []
        return turns if len(turns) > 1 and not turns[-1][1] else None

    def prompt(self, turns: Sequence[Turn], *, most: int) -> tuple[list[int], int]:
        """Return the ids after which the assistant speaks, `most` of them, and how many of the first turns they lack.

        A single turn that is longer than that keeps its end.
        """
        stored = self.store([*turns, ("assistant", "")])
        texts = np.split(stored["utf8"], np.cumsum(stored["turns"][:-2, 1]))
        said = self.tokenizer.encode(texts)
        parts = [
            [self.tokenizer.size + int(role), *map(int, ids), END]
            for role, ids in zip(stored["turns"][:-1, 0], said, strict=True)
        ]
        first = 0
        while first < len(parts) - 1 and sum(map(len, parts[first:])) > most - 2:
            first += 1
        ids = [token for part in parts[first:] for token in part]
        ids = ids if len(ids) <= most - 2 else [ids[0], *ids[len(ids) - most + 3 :]]
        return [BEGIN, *ids, self.tokenizer.size + ROLES.index("assistant")], first

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The tokenizer's kind and vocabulary, and the template."""
        values, arrays = self.tokenizer.state()
        return {"tokenizer": self.tokenizer.kind, "roles": list(ROLES), **values}, arrays

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The tokenizer, the ids of the template, and those of the roles, in order behind the tokenizer's own."""
        values, arrays = self.state()
        ids = {"padding": PADDING, "begin": BEGIN, "end": END, "first_role": self.tokenizer.size}
        return {**values, "ids": ids}, arrays

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back the tokenizer; RunError if it is damaged, or the template is another."""
        if (kind := values.get("tokenizer")) not in KINDS:
            raise RunError(f"the saved tokenizer is damaged: expected one of {', '.join(KINDS)}; got {kind!r}")
        if values.get("roles") != list(ROLES):
            raise RunError(f"the saved template has other roles than {', '.join(ROLES)}: {values.get('roles')}")
        self._tokenizer = KINDS[kind].from_state(values, arrays)


def _turn(value: Any) -> Turn:
    if not isinstance(value, dict) or set(value) != {"role", "content"}:
        raise DataError('expected turns such as {"role": "user", "content": "Hello."}')
    role, text = value["role"], value["content"]
    if role not in ROLES:
        raise DataError(f"expected a role out of {', '.join(ROLES)}; got {role!r}")
    if not isinstance(text, str):
        raise DataError(f"expected a text in each turn; got {type(text).__name__}")
    return role, text
