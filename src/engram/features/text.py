"""Text: what people write, from a word to a book; stored as UTF-8 and seen by networks as ids of its pieces.

Shapes: B examples, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core import events
from engram.core.errors import DataError, RunError, unknown
from engram.core.evidence import Evidence, Finding, Fix
from engram.core.parts import Parts
from engram.core.vocabulary import BEGIN, END, PADDING, UNKNOWN
from engram.features import _text_quality, _wording
from engram.features._moments import dates_of
from engram.features._tokenizers import (
    KINDS,
    MOST_FITTED_BYTES,
    TOKENIZER,
    Tokenizer,
    decoded,
    pieces,
    split_words,
)  # fmt: skip
from engram.features.feature import Alteration, Arrays, Entry, Feature

if TYPE_CHECKING:
    from torch import Tensor

AUTO = "auto"
SUBWORDS_FROM = 5_000_000
"""Bytes of training text from which subwords are worth their vocabulary; below, characters."""

MOST_CHARACTERS = 2_000
"""More different characters than these (Chinese, say) are taken as bytes in their place."""

SIZES = {"words": 60_000, "characters": 8_000, "subwords": 8_000, "bytes": 260}
"""Of vocabularies, at most."""

TOGETHER = 1 << 18
"""Bytes of texts that are compared or tokenised at once: what fits the processor's cache is fastest."""

IN_MEMORY = 1 << 26
"""Bytes of stored text from which tokens are kept in a file, so that memory stays flat."""


class Text(Feature):
    """A text, begun by `BEGIN`, and closed by `END` where `ends` says so.

    tokenizer: a kind out of `KINDS`, or "auto", which chooses by the amount of training text. vocabulary: ids at most
    (0: what suits the kind). longest: tokens of a text that are kept (0: all), the special ones counted. blank: whether
    a text may be empty.
    """

    is_text = True
    typed = True
    thing = "text"
    wishes = (TOKENIZER,)
    near_copies = "in case, spaces, signs or a few letters"
    on_disk = True
    varying = {1: "length"}  # noqa: RUF012  (declared in the base class)

    def __init__(
        self,
        *,
        tokenizer: str = AUTO,
        vocabulary: int = 0,
        ends: bool = False,
        longest: int = 0,
        blank: bool = False,
    ) -> None:
        if tokenizer not in (AUTO, *KINDS):
            raise unknown("tokenizer", tokenizer, [AUTO, *KINDS])
        self.wanted, self.vocabulary, self.ends, self.longest, self.blank = tokenizer, vocabulary, ends, longest, blank
        self._tokenizer: Tokenizer | None = None

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Text of several words, mostly different from row to row, and no dates; whatever stands in files of text."""
        import polars

        if column.kind != "text":
            return Evidence(0.0, f"its values are of kind {column.kind}")
        if column.lazy:
            return Evidence(0.9, f"{len(column):,} texts in files")
        some = [value for value in column.values[:2000] if value]
        if not some:
            return Evidence(0.0, "it is empty")
        words = float(np.mean([len(split_words(value[:1000])) for value in some[:: max(1, len(some) // 200)]]))
        distinct = len(set(some)) / len(some)
        said = f"{words:.0f} words a text, {distinct:.0%} of them different"
        dates = dates_of(polars.Series([value for value in some if isinstance(value, str)], dtype=polars.String))
        if dates.readable or dates.contradictory:
            return Evidence(0.0, f"it holds dates, such as {some[0]}")
        if words >= 3 and distinct > 0.3:
            return Evidence(0.9, said)
        return Evidence(0.3 if distinct > 0.5 else 0.0, said)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "tokenizer": self.wanted, "vocabulary": self.vocabulary, "ends": self.ends, "longest": self.longest,
            "blank": self.blank,
        }  # fmt: skip

    def store_keys(self) -> list[dict[str, Any]]:
        """What is stored depends on nothing."""
        return [{}]

    @property
    def tokenizer(self) -> Tokenizer:
        """The fitted tokenizer."""
        assert self._tokenizer is not None, "a text feature is fitted before it encodes"
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, fitted: Tokenizer) -> None:
        self._tokenizer = fitted

    @property
    def size(self) -> int:
        """The number of ids in the vocabulary."""
        return self.tokenizer.size

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Return {"utf8": uint8 (n,)}. DataError for what is no text, or a blank one."""
        if isinstance(value, bytes | bytearray):
            try:
                value = bytes(value).decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"the text is not UTF-8 (at byte {error.start})") from None
        if value is None:
            raise DataError("the text is missing")
        if not isinstance(value, str):
            raise DataError(f"expected a text; got {type(value).__name__}")
        if not value.strip():
            if not self.blank:
                raise DataError("the text is empty")
            value = ""
        return {"utf8": np.frombuffer(value.encode("utf-8", "replace"), np.uint8)}

    def entry(self) -> Entry:
        """The text itself, or a UTF-8 file's bytes."""
        return Entry(kind="text", unit="characters", schema={"type": "string"}, example="A text of a few words.")

    def received(self, value: Any, *, most: int) -> Any:
        """Take a text or UTF-8 bytes, of at most so many characters."""
        if isinstance(value, str | bytes) and (number := _num_characters(value)) > most:
            raise DataError(f"expected at most {most:,} characters; the text has {number:,}")
        return value

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn the vocabulary from the training rows, unless another feature's is shared already."""
        if self._tokenizer is None:
            self._tokenizer = fitted_tokenizer([stored], [rows], kind=self.wanted, size=self.vocabulary)

    def refined(self, stored: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Tokenise every text once; bytes are tokens as they are."""
        if self.tokenizer.kind == "bytes":
            return {}
        rows = np.flatnonzero(stored.ok)
        kind = np.uint16 if self.size <= 2**16 else np.int32
        sizes = np.zeros(len(stored), np.int64)
        sizes[rows], flat = _kept(self._tokenized(stored, rows), np.dtype(kind), stored)
        return {"tokens": (flat, sizes)}

    def _tokenized(self, stored: Any, rows: np.ndarray) -> Iterator[list[np.ndarray]]:
        done = 0
        for texts in _groups(stored, rows):
            yield self.tokenizer.encode(texts)
            done += len(texts)
            events.emit("progress", name="tokenizing", done=done, total=len(rows))

    def lengths(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """Return how many tokens texts have, as networks see them."""
        whole = self._whole(stored, rows)
        return np.minimum(whole, self.longest) if self.longest else whole

    def _whole(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """How many tokens texts have before any is cut off."""
        return stored.sizes("tokens" if "tokens" in stored.arrays else "utf8", rows) + 1 + self.ends

    def ids(self, gathered: Arrays) -> list[np.ndarray]:
        """Return the ids of gathered texts, one array each, without special ones."""
        if "tokens" in gathered:
            return list(gathered["tokens"])
        return self.tokenizer.encode(list(gathered["utf8"]))

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return ids, int64 (B, T), each text begun by BEGIN, padded at its end with PADDING; see `longest`, `ends`."""
        import torch

        found = self.ids(gathered)
        most = self.longest - 1 - self.ends if self.longest else max(map(len, found), default=0)
        width = min(most, max(map(len, found), default=0)) + 1 + self.ends
        text_BT = np.full((len(found), width), PADDING, np.int64)
        text_BT[:, 0] = BEGIN
        for row, ids in enumerate(found):
            kept = ids[:most]
            text_BT[row, 1 : len(kept) + 1] = kept
            if self.ends:
                text_BT[row, len(kept) + 1] = END
        return torch.from_numpy(text_BT)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id's part of the text."""
        return pieces(self.tokenizer, ids)

    def opening(self, ids: Sequence[int], *, most: int) -> list[int]:
        """The first ids of a text, from which it can be gone on."""
        return list(ids[:most])

    def begun(self, ids: Sequence[int], *, most: int) -> str | None:
        """The text that so many ids begin with; None where it says nothing."""
        text = "".join(self.pieces(ids[:most]))
        return text if text.strip() else None

    def parts(self, gathered: Arrays) -> Parts | None:
        """Its words."""
        from engram.features._parts_of_texts import parts_of

        def encode(texts: list[str]) -> Tensor:
            # As they are: what is left may be blank, which would be refused as a text of its own.
            return self.encode({"utf8": [np.frombuffer(text.encode("utf-8", "replace"), np.uint8) for text in texts]})

        (utf8,) = gathered["utf8"]
        ids = self.encode({"utf8": [utf8]})[0].tolist()
        return parts_of(decoded(utf8), encode=encode, ids=ids, decode=self.tokenizer.decode)

    def traits(self, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """Length, language, capitals, last sign."""
        return _text_quality.traits([text_of(stored, row) for row in rows.tolist()])

    def alterations(self) -> dict[str, Alteration]:
        """Typing errors, missing words, case and punctuation."""
        from engram.features._altered_texts import ALTERATIONS

        return ALTERATIONS

    def strange(self, values: Sequence[Any], random: np.random.Generator) -> dict[str, list[Any]]:
        """Letters without sense."""
        from engram.features._altered_texts import strange

        return dict(strange(values, random))

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """How many texts there are, how long, in what vocabulary, and a few of them."""
        if self._tokenizer is None or not len(rows):
            return {}
        found = _text_quality.summary(stored, rows, {"tokens": self._whole(stored, rows)})
        return {"tokenizer": self.tokenizer.kind, "vocabulary": self.size, **found}

    def check(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """Broken letters, odd languages and lengths, and what of the texts is not read."""
        return [*_text_quality.check(stored, rows), *self._cut_short(stored, rows)]

    def _cut_short(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """Texts of more tokens than are kept."""
        if not self.longest or self._tokenizer is None:
            return []
        odd = rows[self._whole(stored, rows) > self.longest]
        if not len(odd):
            return []
        message = (
            f"{len(odd):,} texts ({len(odd) / len(rows):.1%}) are longer than the {self.longest:,} tokens that are read"
        )
        fixes = tuple(Fix(int(row), "keep", "its end is not read", score=0.2) for row in odd)
        severity = "warning" if len(odd) > 0.05 * len(rows) else "info"
        return [Finding(severity, "cut_short", message, fix="shorten them, or take them apart", fixes=fixes)]

    def signatures(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """MinHash of what the texts say, in bands."""
        return np.concatenate([_wording.signatures(texts) for texts in _groups(stored, rows)])

    def same(self, stored: Any, rows: np.ndarray, others: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """Compare pairs of texts by all that they say."""
        some, place = np.unique(np.concatenate([rows, others]), return_inverse=True)
        known = [sketch for texts in _groups(stored, some) for sketch in _wording.sketches(texts)]
        pairs = zip(place[: len(rows)], place[len(rows) :], strict=True)
        return np.array([_wording.likeness(known[one], known[other]) >= _wording.LIKE for one, other in pairs], bool)

    def circumstances(self, column: Any, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """Length, first and last sign, capitals and spaces."""
        return _text_quality.circumstances([text_of(stored, row) for row in rows.tolist()])

    def decode(self, encoded: Any) -> list[str]:
        """Return the texts of ids (B, T)."""
        return [self.tokenizer.decode(row) for row in encoded.tolist()]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The tokenizer's kind and vocabulary."""
        values, arrays = self.tokenizer.state()
        return {"tokenizer": self.tokenizer.kind, **values}, arrays

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The tokenizer, and what ids begin and end with."""
        values, arrays = self.state()
        ids = {"padding": PADDING, "begin": BEGIN, "end": END if self.ends else None, "unknown": UNKNOWN}
        return {**values, "ids": ids, "most_ids": self.longest or None}, arrays

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back the tokenizer; RunError if it is damaged."""
        if (kind := values.get("tokenizer")) not in KINDS:
            raise RunError(f"the saved tokenizer is damaged: expected one of {', '.join(KINDS)}; got {kind!r}")
        self._tokenizer = KINDS[kind].from_state(values, arrays)


def _num_characters(text: str | bytes) -> int:
    """Of UTF-8, bytes that begin one are counted."""
    if isinstance(text, str):
        return len(text)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) & 0xC0 != 0x80))


def fitted_tokenizer(stored: list[Any], rows: list[np.ndarray], *, kind: str = AUTO, size: int = 0) -> Tokenizer:
    """Fit one tokenizer on the rows of one column or several.

    kind: "auto" takes characters for little text, bytes where there are too many different ones, else subwords.
    """

    def texts() -> Any:
        return (values.arrays["utf8"][row] for values, some in zip(stored, rows, strict=True) for row in some)

    if kind == AUTO:
        kind = "characters" if sum(map(len, texts())) < SUBWORDS_FROM else "subwords"
        if kind == "characters":
            fitted = KINDS[kind].fit(texts(), size=MOST_CHARACTERS + 10)
            return fitted if fitted.size <= MOST_CHARACTERS else KINDS["bytes"].fit(texts(), size=SIZES["bytes"])
    if kind == "subwords":  # more text would teach nothing more, and take memory
        step = 1 + sum(map(len, texts())) // MOST_FITTED_BYTES
        rows = [some[::step] for some in rows]
    return KINDS[kind].fit(texts(), size=size or SIZES[kind])


def _kept(groups: Iterator[list[np.ndarray]], kind: np.dtype, stored: Any) -> tuple[list[int], np.ndarray]:
    """Return how many tokens texts have, and all of them one after the other, in memory or mapped from a file.

    The file lies beside the prepared data, has no name, and goes when nobody reads it any more.
    """
    folder = stored.info.get("folder") if stored.nbytes > IN_MEMORY else None
    sizes: list[int] = []
    with TemporaryFile(dir=folder) if folder else BytesIO() as file:
        for tokens in groups:
            sizes += map(len, tokens)
            file.writelines(ids.astype(kind).data for ids in tokens)
        file.flush()
        size = file.tell()
        if isinstance(file, BytesIO) or not size:
            return sizes, np.frombuffer(file.getvalue() if isinstance(file, BytesIO) else b"", kind)
        return sizes, np.asarray(np.memmap(file, kind, mode="r"))


def text_of(stored: Any, row: int) -> str:
    """Return a stored text."""
    return decoded(stored.arrays["utf8"][row])


def _groups(stored: Any, rows: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield texts in groups of some bytes."""
    group: list[np.ndarray] = []
    size = 0
    for row in rows.tolist():
        group.append(stored.arrays["utf8"][row])
        size += len(group[-1])
        if size >= TOGETHER:
            yield group
            group, size = [], 0
    if group or not len(rows):
        yield group
