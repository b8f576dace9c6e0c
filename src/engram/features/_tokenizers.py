"""Tokenizers: what a text is cut into, fitted on training texts. One class a kind, all with the same few methods.

`encode` takes texts as UTF-8 (uint8 arrays) and gives their ids (int32 arrays) without the special ids of
`engram.core.vocabulary`, which come first in every vocabulary. `state` is JSON and arrays; nothing is pickled.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self

import numpy as np

from engram.core.errors import ConfigError, RunError
from engram.core.vocabulary import NUM_SPECIAL, PADDING, UNKNOWN
from engram.core.wishes import Wish

WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?|[^\w\s]|_", re.UNICODE)
"""Letters and digits, with what follows an apostrophe; any other sign stands alone."""

IDEOGRAPHS = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f])")
"""Signs of scripts written without spaces: each is a word of its own."""

MOST_FITTED_BYTES = 20_000_000
"""From so much text, evenly taken, subwords are learned: more changes nothing."""


NEAR = 8
"""Ids before one on which its spaces may depend."""

BROKEN = "\ufffd"


class Tokenizer(Protocol):
    """What all kinds have. size: of the vocabulary, the special ids included."""

    kind: str
    size: int

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, size: int) -> Self:
        """Learn a vocabulary of at most `size` ids from texts."""
        ...

    def encode(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the ids of texts."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special ids have none."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The vocabulary as (JSON, arrays)."""
        ...

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Take back what `state` gave. RunError if it is damaged."""
        ...


class Bytes:
    """Every byte of UTF-8 is an id: nothing is ever unknown."""

    kind = "bytes"
    size = NUM_SPECIAL + 256

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, size: int) -> Self:
        """There is nothing to learn."""
        return cls()

    def encode(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return bytes, moved behind the special ids."""
        return [text.astype(np.int32) + NUM_SPECIAL for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text; bytes that are no UTF-8 become the replacement character."""
        return bytes(i - NUM_SPECIAL for i in ids if i >= NUM_SPECIAL).decode("utf-8", "replace")

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Nothing."""
        return {}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Nothing is needed."""
        return cls()


class Characters:
    """Every character (Unicode code point) that training texts hold, the most frequent where there are too many."""

    kind = "characters"

    def __init__(self, points: np.ndarray) -> None:
        self.points = np.sort(points.astype(np.uint32))
        self.size = NUM_SPECIAL + len(points)

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, size: int) -> Self:
        """Learn which characters there are."""
        counts = np.zeros(0x110000, np.int64)
        for text in texts:
            found, number = np.unique(_points(text), return_counts=True)
            counts[found] += number
        most = np.argsort(-counts, kind="stable")[: size - NUM_SPECIAL]
        return cls(most[counts[most] > 0])

    def encode(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the characters' places in the order of code points."""
        return [self._ids(_points(text)) for text in texts]

    def _ids(self, points: np.ndarray) -> np.ndarray:
        places = np.searchsorted(self.points, points)
        known = self.points[np.minimum(places, len(self.points) - 1)] == points
        return np.where(known, places + NUM_SPECIAL, UNKNOWN).astype(np.int32)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text; what is unknown becomes the replacement character."""
        return "".join("\ufffd" if i == UNKNOWN else chr(self.points[i - NUM_SPECIAL]) for i in ids if i >= UNKNOWN)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The code points."""
        return {}, {"points": self.points}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Take back the code points."""
        points = arrays.get("points")
        if points is None or points.ndim != 1 or not len(points) or points.max() > 0x10FFFF:
            raise RunError("the saved characters are damaged: expected a list of code points")
        return cls(points)


class Words:
    """Words and signs in small letters, those of scripts without spaces one by one; the most frequent ones."""

    kind = "words"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.size = NUM_SPECIAL + len(self.words)
        self._index = {word: number for number, word in enumerate(self.words, NUM_SPECIAL)}

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, size: int) -> Self:
        """Learn the most frequent words; of equally frequent ones the first in the alphabet."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(decoded(text)))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([word for word, _ in ranked[: size - NUM_SPECIAL]])

    def encode(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the words' numbers."""
        find = self._index.get
        words = (split_words(decoded(text)) for text in texts)
        return [np.fromiter((find(word, UNKNOWN) for word in some), np.int32) for some in words]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words with spaces between them."""
        return " ".join("\ufffd" if i == UNKNOWN else self.words[i - NUM_SPECIAL] for i in ids if i >= UNKNOWN)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The words, the most frequent first."""
        return {"words": self.words}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Take back the words."""
        words = values.get("words")
        if not isinstance(words, list) or not all(isinstance(w, str) for w in words) or len(set(words)) < len(words):
            raise RunError("the saved words are damaged: expected a list of different texts")
        return cls(words)


class Subwords:
    """Pieces of words (sentencepiece, unigram; Kudo 2018, arXiv:1804.10959); rare characters fall back to bytes."""

    kind = "subwords"

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise RunError(f"the saved subwords are damaged ({str(error).strip()})") from None
        self.size = self._processor.vocab_size()

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, size: int) -> Self:
        """Learn pieces from the lines of texts. ConfigError where there is too little text for any."""
        import sentencepiece

        lines = _lines(texts)
        if not lines:
            raise ConfigError("expected texts to learn subwords from; all are empty. Use --tokenizer bytes.")
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, vocab_size=size, model_type="unigram",
            hard_vocab_limit=False, byte_fallback=True, character_coverage=0.9999, normalization_rule_name="identity",
            remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True, max_sentence_length=1 << 16,
            pad_id=0, bos_id=1, eos_id=2, unk_id=3, num_threads=1, minloglevel=2,
            user_defined_symbols=["\n", "\t"],
        )  # fmt: skip
        return cls(model.getvalue())

    def encode(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the pieces' numbers."""
        found = self._processor.encode([decoded(text) for text in texts])
        return [np.array(ids, np.int32) for ids in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text."""
        return str(self._processor.decode([int(i) for i in ids if i >= UNKNOWN]))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The model as sentencepiece writes it, which is data alone."""
        return {}, {"model": np.frombuffer(self.model, np.uint8)}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Take back the model."""
        if (model := arrays.get("model")) is None or model.dtype != np.uint8:
            raise RunError("the saved subwords are damaged: expected their model as bytes")
        return cls(model.tobytes())


KINDS: dict[str, type[Tokenizer]] = {kind.kind: kind for kind in (Bytes, Characters, Subwords, Words)}

TOKENIZER = Wish("tokenizer", "what texts are cut into (default: what suits task and data)", choices=tuple(KINDS))


def split_words(text: str) -> list[str]:
    """Cut a text into words and signs, in small letters and composed form."""
    text = unicodedata.normalize("NFC", text).casefold()
    return WORD.findall(IDEOGRAPHS.sub(r" \1 ", text))


def pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Return each id's part of the text of all, spaces included; ids that are not the tokenizer's stand for none."""
    own = [token if token < tokenizer.size else PADDING for token in ids]
    near = [max(0, at - NEAR) for at in range(len(own))]
    # What is broken yet is part of a character that a later id completes.
    known = [tokenizer.decode(own[start:at]).rstrip(BROKEN) for at, start in enumerate(near)]
    texts = [tokenizer.decode(own[start : at + 1]).rstrip(BROKEN) for at, start in enumerate(near)]
    return [text[len(before) :] for text, before in zip(texts, known, strict=True)]


def decoded(utf8: np.ndarray) -> str:
    """Return the text of stored bytes, which were checked when they were stored."""
    return utf8.tobytes().decode("utf-8")


def _points(utf8: np.ndarray) -> np.ndarray:
    return np.frombuffer(decoded(utf8).encode("utf-32-le"), np.uint32)


def _lines(texts: Iterable[np.ndarray]) -> list[str]:
    """Lines of the texts; evenly taken ones where there is more than subwords need."""
    lines = [line for text in texts for line in decoded(text).splitlines() if line.strip()]
    size = sum(map(len, lines))
    return lines[:: max(1, -(-size // MOST_FITTED_BYTES))]
