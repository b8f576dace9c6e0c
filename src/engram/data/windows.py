"""Windows: examples cut from a stream of tokens, for tasks that learn what comes next.

The documents of a split follow one another as one stream, each begun by BEGIN and closed by END (a text that was read
in consecutive pieces is one document). Training cuts the stream at another offset in every epoch; evaluation reads
every token once, with at least half a window before it wherever the document has that much.

Shapes: B windows, T + 1 tokens of a window, N documents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from engram.core.vocabulary import BEGIN, END, PADDING
from engram.data.examples import Examples, digests
from engram.data.stored import Ragged

Read = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]
"""(row, start, stop) -> ids and whether each is to be predicted, of a part of one row's text."""


@dataclass
class Stream:
    """Documents one after the other, read from where they are stored.

    rows, sizes: of the documents' pieces, and how many tokens each holds. begins, ends: whether a document begins or
    ends with a piece. read: gives the tokens (ids, whether each is scored) of a piece from one place to another.
    """

    rows: np.ndarray
    sizes: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    read: Read

    @cached_property
    def borders(self) -> np.ndarray:
        """Where each piece begins in the stream, and the stream's end."""
        return np.concatenate([[0], np.cumsum(self.sizes + self.begins + self.ends)])

    def __len__(self) -> int:
        return int(self.borders[-1])

    def tokens(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids from one place of the stream to another, and whether each is to be predicted."""
        found: list[np.ndarray] = []
        scored: list[np.ndarray] = []
        first = int(np.searchsorted(self.borders, start, side="right")) - 1
        for piece in range(first, len(self.rows)):
            if self.borders[piece] >= stop:
                break
            ids, asked = self._piece(piece, start - int(self.borders[piece]), stop - int(self.borders[piece]))
            found.append(ids)
            scored.append(asked)
        return np.concatenate(found), np.concatenate(scored)

    def _piece(self, piece: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """A part of a piece, counted from where it begins; beyond it there is nothing."""
        size, begins, ends = int(self.sizes[piece]), int(self.begins[piece]), int(self.ends[piece])
        start, stop = max(start, 0), min(stop, begins + size + ends)
        ids, asked = self.read(int(self.rows[piece]), max(start - begins, 0), max(min(stop - begins, size), 0))
        if begins and start == 0:
            ids, asked = np.concatenate([[BEGIN], ids]), np.concatenate([[False], asked])
        if ends and stop == begins + size + 1:
            ids, asked = np.concatenate([ids, [END]]), np.concatenate([asked, [bool(asked[-1:].all())]])
        return ids, asked


@dataclass
class Windows(Examples):
    """Examples that are windows of a stream: `batch.text` (B, T + 1) and `batch.scored` (B, T), of which token to say.

    streams: by split; a row is the number of a window, counted through all splits. context: T. num_bytes: of all the
    text of each split, by which `batch.bytes` (B,) says how many bytes a window's scored tokens stand for.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    context: int = 256
    num_bytes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.splits, self._first, count = {}, {}, 0
        for name, stream in self.streams.items():
            number = self._number(name, len(stream))
            self.splits[name], self._first[name] = np.arange(count, count + number), count
            count += number

    def _number(self, split: str, length: int) -> int:
        """How many windows cover a stream."""
        if split == "train":
            return max(1, -(-length // self.context))
        return 1 + max(0, -(-(length - 1 - self.context) // self._stride))

    @property
    def _stride(self) -> int:
        return self.context // 2

    def lengths(self, rows: np.ndarray) -> None:
        """All are alike."""
        return None

    def made(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray) -> dict[str, Any]:
        """Cut some windows out of their streams; the offset in training is a pure function of (seed, epoch)."""
        import torch

        text_BT = np.full((len(rows), self.context + 1), PADDING, np.int64)
        scored_BT = np.zeros((len(rows), self.context), bool)
        bytes_B = np.zeros(len(rows), np.float32)
        for place, (row, now) in enumerate(zip(rows.tolist(), epoch.tolist(), strict=True)):
            split = next(name for name in reversed(self.splits) if row >= self._first[name])
            ids, asked = self._window(split, row - self._first[split], seed=seed, epoch=now)
            text_BT[place, : len(ids)], scored_BT[place, : len(ids) - 1] = ids, asked[1:]
            bytes_B[place] = asked[1:].sum() * self._bytes_per_token[split]
        tensors = {"text": text_BT, "scored": scored_BT, "bytes": bytes_B}
        return {name: torch.from_numpy(value) for name, value in tensors.items()}

    def identity(self, rows: np.ndarray) -> np.ndarray:
        """The tokens of each window, and which are asked for: another vocabulary asks for others."""
        batch: Any = self.batch(rows)
        return digests(np.asarray(batch.text), np.asarray(batch.scored))

    def _window(self, split: str, number: int, *, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        stream, known = self.streams[split], 0
        if split == "train":
            offset = int(np.random.default_rng([seed, epoch]).integers(self.context)) if epoch else 0
            start = number * self.context - offset
            stop = start + self.context + 1
        else:
            start = number * self._stride
            stop = start + self.context + 1
            known = self.context - self._stride + 1 if number else 0
        ids, asked = stream.tokens(max(start, 0), min(stop, len(stream)))
        asked = asked.copy()
        asked[:known] = False
        return ids, asked

    @cached_property
    def _bytes_per_token(self) -> dict[str, float]:
        return {name: self.num_bytes[name] / max(1, len(stream)) for name, stream in self.streams.items()}

    def num_values(self) -> int:
        """Tokens of a window."""
        return self.context


def over(examples: Examples, *, role: str, tokens: str, context: int, read: Read, ends: bool = True) -> Windows:
    """Cut the rows of a role into windows.

    tokens: the stored array that says how many tokens a row has. ends: whether documents are closed by END.
    """
    stored, continues = examples.stored[role], examples.continues
    streams, num_bytes = {}, {}
    for split, rows in examples.splits.items():
        begins, closes = np.ones(len(rows), bool), np.full(len(rows), ends)
        if continues is not None:
            begins = ~(continues[rows] & np.isin(rows - 1, rows))
            closes &= ~continues[np.minimum(rows + 1, len(stored) - 1)] | (rows == len(stored) - 1)
        streams[split] = Stream(rows, stored.sizes(tokens, rows), begins, closes, read)
        num_bytes[split] = int(stored.sizes("utf8", rows).sum())
    return Windows(examples.features, examples.stored, streams=streams, context=context, num_bytes=num_bytes)


def over_texts(examples: Examples, *, role: str, context: int) -> Windows:
    """Windows over texts: every token is to be predicted."""
    stored, feature = examples.stored[role], examples.features[role]
    tokens = "tokens" if "tokens" in stored.arrays else "utf8"

    def read(row: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        ids = feature.ids({tokens: [part(stored.arrays[tokens], row, start, stop)]})[0]  # type: ignore[attr-defined]
        return ids.astype(np.int64), np.ones(len(ids), bool)

    return over(examples, role=role, tokens=tokens, context=context, read=read)


def part(values: Any, row: int, start: int, stop: int) -> np.ndarray:
    """Part of one row's array, which is all that is read where arrays lie on disk one after the other."""
    if isinstance(values, Ragged):
        begin = int(values.offsets[row])
        return np.asarray(values.flat[begin + start : begin + stop])
    return np.asarray(values[row][start:stop])
