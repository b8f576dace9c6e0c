"""Words: free text in a cell, seen as a few topics.

Each text is the set of its words, hashed into a table and weighted by how rare they are (TF-IDF); topics are the
directions in which training texts differ most (truncated SVD). Lists of names are texts whose words are the names.

Shapes: N texts, W words of a text, P topics.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.features._fields.field import MISSING, Field, is_missing, saved

if TYPE_CHECKING:
    import polars
    from torch import Tensor

TABLE = 1 << 14
"""Places that words are hashed to."""

TOPICS = 16
LEAST = 0.01
"""A topic in which texts differ so little, against the first one, is none."""

FITTED_ON = 20_000
"""Texts from which topics are found; more would find much the same."""

Texts = tuple[np.ndarray, np.ndarray]
"""The places of the words of all texts (int64), one text after the other, and how many each has."""

TOGETHER = 1 << 16
WORD = r"\w+"
SPACED = r"[^\w ]|^ | $|  |^$"
"""What texts hold that are no words with one space between."""


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

        numbered, place_of = polars.Categorical(polars.Categories.random()), np.zeros(0, np.uint16)
        places, sizes = [place_of], [np.zeros(0, np.int64)]
        for start in range(0, len(series), TOGETHER):
            lists = _words_of(series.slice(start, TOGETHER))
            words = lists.explode(empty_as_null=False, keep_nulls=False).cast(numbered)
            place_of = _with_new(place_of, words.unique())
            places.append(place_of[words.to_physical().to_numpy()])
            sizes.append(lists.list.len().fill_null(0).cast(polars.Int64).to_numpy())
        return np.concatenate(places), np.concatenate(sizes)

    def read_one(self, value: Any) -> np.ndarray:
        """Return the places of a text's words."""
        if is_missing(value) if not isinstance(value, list | tuple) else False:
            return np.zeros(0, np.uint16)
        if isinstance(value, list | tuple):
            return np.array([place(str(name)) for name in value], np.uint16)
        if not isinstance(value, str):
            raise DataError(f"expected a text for {self.name}; got {value!r}")
        return np.array([place(word) for word in re.findall(WORD, value.lower())], np.uint16)

    def fit(self, stored: Texts) -> None:
        """Learn how rare words are, and the topics."""
        import torch

        place, sizes = _spread(*stored)
        text = np.repeat(np.arange(len(sizes)), sizes)
        text, place = np.divmod(np.unique(text * TABLE + place), TABLE)  # a word counts once a text
        sizes = np.bincount(text, minlength=len(sizes))
        self.rarity = np.log((1 + len(sizes)) / (1 + np.bincount(place, minlength=TABLE))).astype(np.float32) + 1
        length = np.sqrt(np.bincount(text, self.rarity[place] ** 2, minlength=len(sizes)))
        value = (self.rarity[place] / length[text]).astype(np.float32)
        entries = torch.from_numpy(np.stack([text, place])), torch.from_numpy(value)
        shape = (max(1, len(sizes)), TABLE)
        matrix = torch.sparse_coo_tensor(*entries, shape, check_invariants=True).coalesce()
        axes_WP, strength = _directions(matrix, min(self.topics + 8, *shape))
        kept = max(1, int((strength[: self.topics] > LEAST * strength[0]).sum()))
        axes_WP, spread = axes_WP[:, :kept], strength[:kept] / np.sqrt(max(1, len(sizes)))
        sign = np.sign(axes_WP[np.abs(axes_WP).argmax(0), np.arange(kept)])
        self.weight = np.ascontiguousarray(axes_WP * sign / np.maximum(spread, 1e-6), np.float32)

    @property
    def labels(self) -> tuple[str, ...]:
        """Topics by number."""
        return tuple(f"{self.name}: topic {number + 1}" for number in range(self.weight.shape[1]))

    def encode(self, stored: Texts) -> np.ndarray:
        """Return how much of each topic a text has (N, P); NaN for one without words."""
        import torch

        place, sizes = stored
        rarity = self.rarity[:, None]
        table = torch.from_numpy(np.concatenate([self.weight * rarity, rarity**2], 1))
        begin = torch.from_numpy(np.cumsum(sizes) - sizes)
        total = torch.nn.functional.embedding_bag(torch.from_numpy(place), table, begin, mode="sum").numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(sizes[:, None] > 0, total[:, :-1] / np.sqrt(total[:, -1:]), np.nan), np.float32)

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

    def missing(self, stored: Texts) -> np.ndarray:
        """Where there are no words."""
        return stored[1] == 0

    def summary(self, stored: Texts) -> str:
        """How many words texts have, and how many topics were found."""
        sizes = stored[1]
        middle = float(np.median(sizes)) if len(sizes) else 0
        return f"{middle:.0f} words in the middle, {self.weight.shape[1]} topics"


def _directions(matrix_NW: Tensor, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The directions (W, P) in which rows differ most, and how much: a randomised SVD (Halko and others, 2011)."""
    import torch

    start = np.random.default_rng(0).standard_normal((matrix_NW.shape[1], number)).astype(np.float32)
    right_WP = torch.from_numpy(start)
    for _ in range(4):
        left_NP = torch.linalg.qr(matrix_NW @ right_WP).Q
        right_WP, strength, _ = torch.linalg.svd(matrix_NW.T @ left_NP, full_matrices=False)
    return right_WP.numpy(), strength.numpy()


def place(word: str) -> int:
    """The place of a word in the table."""
    return zlib.crc32(word.encode("utf-8", "replace")) % TABLE


def _with_new(place_of: np.ndarray, words: polars.Series) -> np.ndarray:
    """The places of words by their number, and those of the words that have a new number: each is hashed once."""
    import polars

    number = words.to_physical().to_numpy().astype(np.int64)
    new = number >= len(place_of)
    more = np.zeros(max(0, int(number.max(initial=-1)) + 1 - len(place_of)), np.uint16)
    place_of = np.concatenate([place_of, more])
    place_of[number[new]] = [place(word) for word in words.cast(polars.String).filter(new).to_list()]
    return place_of


def _words_of(texts: polars.Series) -> polars.Series:
    """The words of texts as lists; of lists of names, the names."""
    import polars

    if texts.dtype != polars.String:
        return texts.cast(polars.List(polars.String)).list.drop_nulls()
    if (texts.str.len_bytes() <= max(map(len, MISSING))).any():
        texts = texts.set(texts.str.strip_chars().str.to_lowercase().is_in(list(MISSING)), None)
    texts = texts.str.to_lowercase()
    if texts.str.contains(SPACED).any():
        return texts.str.extract_all(WORD)
    return texts.str.split(" ")  # twice as fast, where there is nothing but words with one space between


def _spread(place: np.ndarray, sizes: np.ndarray) -> Texts:
    """The words of evenly spread texts, where there are more than topics are found from."""
    step = 1 + len(sizes) // FITTED_ON
    chosen = np.arange(len(sizes)) % step == 0
    return place[np.repeat(chosen, sizes)], sizes[chosen]
