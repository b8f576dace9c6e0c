"""Words: free text in a cell, seen as a few topics.

Each text is the set of its words, hashed into a table and weighted by how rare they are (TF-IDF); topics are the
directions in which training texts differ most (truncated SVD). Lists of names are texts whose words are the names.

Shapes: N texts, W words of a text, P topics.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.features._fields.field import Field, is_missing, saved

if TYPE_CHECKING:
    import polars

TABLE = 1 << 14
"""Places that words are hashed to."""

TOPICS = 16
LEAST = 0.01
"""A topic in which texts differ so little, against the first one, is none."""

FITTED_ON = 20_000
"""Texts from which topics are found; more would find much the same."""

TOGETHER = 1 << 16
WORD = r"\w+"


class WordsField(Field):
    """A free text. Stored are the places of its words. topics: at most."""

    kind = "text"
    is_ragged = True

    def __init__(self, name: str, *, reason: str = "", optional: bool = False, topics: int = TOPICS) -> None:
        super().__init__(name, reason=reason, optional=optional)
        self.topics = topics
        self.weight = np.zeros((TABLE, 1), np.float32)
        self.rarity = np.ones(TABLE, np.float32)

    def config(self) -> dict[str, Any]:
        """The number of topics too."""
        return {**super().config(), "topics": self.topics}

    def read(self, series: polars.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of all words, uint16, and how many each text has."""
        import polars

        parts, sizes = [], np.zeros(len(series), np.int64)
        for start in range(0, len(series), TOGETHER):
            some = series.slice(start, TOGETHER)
            if some.dtype == polars.String:
                lists = some.str.to_lowercase().str.extract_all(WORD)
            else:
                lists = some.cast(polars.List(polars.String))
            sizes[start : start + len(some)] = lists.list.len().fill_null(0).to_numpy()
            words = lists.list.drop_nulls().explode(empty_as_null=False, keep_nulls=False)
            parts.append(_places_of(words))
        return np.concatenate(parts) if parts else np.zeros(0, np.uint16), sizes

    def read_one(self, value: Any) -> np.ndarray:
        """Return the places of a text's words."""
        if is_missing(value) if not isinstance(value, list | tuple) else False:
            return np.zeros(0, np.uint16)
        if isinstance(value, list | tuple):
            return np.array([place(str(name)) for name in value], np.uint16)
        if not isinstance(value, str):
            raise DataError(f"expected a text for {self.name}; got {value!r}")
        return np.array([place(word) for word in re.findall(WORD, value.lower())], np.uint16)

    def fit(self, stored: Sequence[np.ndarray]) -> None:
        """Learn how rare words are, and the topics."""
        import torch

        step = 1 + len(stored) // FITTED_ON
        texts = [np.unique(stored[row]) for row in range(0, len(stored), step)]
        sizes = np.array([len(text) for text in texts])
        place = np.concatenate(texts).astype(np.int64) if len(texts) else np.zeros(0, np.int64)
        count = np.bincount(place, minlength=TABLE)
        self.rarity = np.log((1 + len(texts)) / (1 + count)).astype(np.float32) + 1
        value = self.rarity[place] / np.maximum(np.repeat(_lengths(self.rarity[place], sizes), sizes), 1e-6)
        indices = np.stack([np.repeat(np.arange(len(texts)), sizes), place])
        shape = (max(1, len(texts)), TABLE)
        entries = torch.from_numpy(indices), torch.from_numpy(value)
        matrix = torch.sparse_coo_tensor(*entries, shape, check_invariants=True).coalesce()
        wanted = min(self.topics + 8, *shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, strength, axes = torch.svd_lowrank(matrix, q=wanted, niter=3)
        kept = max(1, int((strength[: self.topics] > LEAST * strength[0]).sum()))
        axes, spread = axes[:, :kept].numpy(), strength[:kept].numpy() / np.sqrt(max(1, len(texts)))
        sign = np.sign(axes[np.abs(axes).argmax(0), np.arange(kept)])
        self.weight = (axes * sign / np.maximum(spread, 1e-6)).astype(np.float32)

    @property
    def labels(self) -> tuple[str, ...]:
        """Topics by number."""
        return tuple(f"{self.name}: topic {number + 1}" for number in range(self.weight.shape[1]))

    def encode(self, stored: Sequence[np.ndarray]) -> np.ndarray:
        """Return how much of each topic a text has (N, P); NaN for one without words."""
        sizes = np.array([len(text) for text in stored], np.int64)
        place = np.concatenate(stored).astype(np.int64) if sizes.sum() else np.zeros(0, np.int64)
        return self.of_places(place, sizes)

    def of_places(self, place: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The same of the places of all words, one text after the other."""
        topics_NP = np.full((len(sizes), self.weight.shape[1]), np.nan, np.float32)
        some = sizes > 0
        if some.any():
            begin = (np.cumsum(sizes) - sizes)[some]
            rarity = self.rarity[place]
            total = np.add.reduceat(self.weight[place] * rarity[:, None], begin, axis=0)
            topics_NP[some] = total / np.sqrt(np.add.reduceat(rarity**2, begin))[:, None]
        return topics_NP

    def decode(self, encoded_NP: np.ndarray) -> list[Any]:
        """None: topics do not tell the words."""
        return [None] * len(encoded_NP)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Rarity and topics."""
        return {}, {"rarity": self.rarity, "weight": self.weight}

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take back rarity and topics."""
        rarity, weight = saved(arrays, "rarity", axes=1), saved(arrays, "weight", axes=2)
        if rarity.shape != (TABLE,) or len(weight) != TABLE or not 0 < weight.shape[1] <= self.topics:
            raise RunError(f"the saved topics of the column {self.name} are damaged")
        self.rarity, self.weight = rarity.astype(np.float32), weight.astype(np.float32)

    def schema(self) -> dict[str, Any]:
        """A text."""
        return {"type": ["string", "null"] if self.optional else "string"}

    def example(self) -> str:
        """Some words."""
        return "some words"

    def summary(self, stored: Sequence[np.ndarray]) -> dict[str, Any]:
        """How many words a text has."""
        sizes = [len(stored[row]) for row in range(0, len(stored), 1 + len(stored) // 1000)]
        return {"words": float(np.median(sizes))} if sizes else {}


def place(word: str) -> int:
    """The place of a word in the table."""
    return zlib.crc32(word.encode("utf-8", "replace")) % TABLE


def _places_of(words: polars.Series) -> np.ndarray:
    """The places of many words, each different one hashed once."""
    import polars

    different = words.unique()
    if not len(different):
        return np.zeros(0, np.uint16)
    places = polars.Series([place(word) for word in different.to_list()], dtype=polars.UInt16)
    return words.replace_strict(different, places, return_dtype=polars.UInt16).to_numpy()


def _lengths(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The Euclidean length of each group of values."""
    total = np.zeros(len(sizes))
    np.add.at(total, np.repeat(np.arange(len(sizes)), sizes), values**2)
    return np.sqrt(total).astype(np.float32)
