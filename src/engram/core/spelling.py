"""Spelling: from the ids of a text to its words and to the pieces that words are spelled with, as hash numbers.

A text of characters is cut into words on the device, so that floors and networks see words that training has not
seen by their pieces ("unwatchable" by "watch" and "able"), in every language, without a list of words. Texts that
were cut into words or subwords already keep their units as words, which have no pieces.

Shapes: B examples, T ids, W words, G lengths of pieces, V vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engram.core.vocabulary import NUM_SPECIAL, UNKNOWN

PRIME = (1 << 31) - 1
"""Hash numbers are below it, so that a product of two of them is exact in int64, here and in ONNX."""

BETWEEN, WITHIN, ALONE = range(3)
"""What an id is: nothing of a word (padding, space), a letter or digit, or a word by itself."""

LENGTHS = (3, 4)
"""Characters of the pieces; with the ends of words marked, a piece of three at the end stands for four."""

_LONGEST = max(LENGTHS)
_FACTORS = torch.randint(1, PRIME, (_LONGEST + 4,), generator=torch.Generator().manual_seed(0)).tolist()
_STARTS, _ENDS, _LEFT, _RIGHT = _FACTORS[_LONGEST:]


SMALL, CAPITAL, DIGIT = 1, 1 << 15, 1 << 30
"""What letters and digits count in the number that a word's shape is read from, each up to the next."""


class Spelled(NamedTuple):
    """word: hash numbers of words (B, W), 0 behind the last. piece: of the pieces that end at each id (B, T, G), 0
    where none does. place: the word that an id belongs to (B, T), from 1; 0 for none. shape: of the words' shapes
    (B, W): whether they have small letters, one capital or several, digits; of other signs, the sign itself."""

    word: Tensor
    piece: Tensor
    place: Tensor
    shape: Tensor


class Spelling(nn.Module):
    """Finds words and their pieces. `learn` says once what the ids of a vocabulary are; buffers keep it."""

    kind: Tensor
    hashed: Tensor
    form: Tensor

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        kind_V = torch.full((vocabulary,), ALONE)
        kind_V[:NUM_SPECIAL] = BETWEEN
        kind_V[UNKNOWN] = WITHIN
        self.register_buffer("kind", kind_V)
        self.register_buffer("hashed", _codes(torch.arange(vocabulary)))
        self.register_buffer("form", torch.zeros(vocabulary, dtype=torch.long))

    @classmethod
    def of(cls, tokenizer: Any) -> Spelling:
        """Return the spelling of a fitted tokenizer (`engram.features._tokenizers`)."""
        spelling = cls(tokenizer.size)
        spelling.learn([tokenizer.decode([number]) for number in range(NUM_SPECIAL, tokenizer.size)])
        return spelling

    def learn(self, pieces: Sequence[str]) -> None:
        """Take the texts of all ids behind the special ones; capitals become the small letters of the vocabulary."""
        number = {piece: at for at, piece in enumerate(pieces, NUM_SPECIAL)}
        small = torch.tensor([number.get(piece.casefold(), at) for at, piece in enumerate(pieces, NUM_SPECIAL)])
        self.kind[NUM_SPECIAL:] = torch.tensor([_kind(piece) for piece in pieces])
        self.hashed[NUM_SPECIAL:] = _codes(small)
        self.form[NUM_SPECIAL:] = torch.tensor([_form(piece) for piece in pieces])

    def forward(self, text_BT: Tensor) -> Spelled:
        """Return words and pieces of ids."""
        kind_BT = self.kind[text_BT]
        inside_BT = kind_BT != BETWEEN
        starts_BT = inside_BT & ((kind_BT == ALONE) | (_before(kind_BT, 1) != WITHIN))
        ends_BT = inside_BT & ((kind_BT == ALONE) | (nn.functional.pad(kind_BT, (0, 1))[:, 1:] != WITHIN))
        place_BT = torch.where(inside_BT, starts_BT.long().cumsum(1), 0)
        code_BT = (self.hashed[text_BT] + starts_BT * _STARTS + ends_BT * _ENDS) % PRIME
        grams, total_BT = [], torch.zeros_like(code_BT)
        for length in range(1, _LONGEST + 1):
            total_BT = (total_BT + _before(code_BT, length - 1) * _FACTORS[length - 1]) % PRIME
            within_BT = inside_BT & (_before(place_BT, length - 1) == place_BT)
            grams.append(torch.where(within_BT, mixed(total_BT) + 1, 0))
        # Its pieces of three name a word, and its letters one of fewer.
        spelled_BT = (torch.where(grams[2] > 0, grams[2], grams[0]) + grams[0]) % PRIME
        number = text_BT.shape[1] if torch.compiler.is_exporting() else max(1, int(place_BT.max()))
        sums_BW = torch.zeros_like(nn.functional.pad(text_BT, (0, 1))).scatter_add(1, place_BT, spelled_BT)
        word_BW = sums_BW[:, 1 : number + 1] % PRIME
        forms_BW = torch.zeros_like(sums_BW).scatter_add(1, place_BT, self.form[text_BT])[:, 1 : number + 1]
        pieces = torch.stack([grams[length - 1] for length in LENGTHS], 2)
        return Spelled(word_BW, pieces, place_BT, _shapes(word_BW, forms_BW))


def pairs(word_BW: Tensor, other_BW: Tensor | None = None, *, back: int = 1) -> Tensor:
    """Return hash numbers of every word with the one so many places before it, or with what `other` has there.

    Before the first there is the beginning; 0 where is no word.
    """
    other_BW = _before(word_BW if other_BW is None else other_BW, back)
    joined_BW = (word_BW * _LEFT) % PRIME + (other_BW * _RIGHT) % PRIME + back - 1
    return torch.where(word_BW > 0, mixed(joined_BW % PRIME) + 1, 0)


def _shapes(word_BW: Tensor, forms_BW: Tensor) -> Tensor:
    """Return hash numbers of shapes, from how many small letters, capitals and digits words have."""
    small, capital, digit = forms_BW % CAPITAL, forms_BW % DIGIT // CAPITAL, forms_BW // DIGIT
    number_BW = small.clamp(max=1) + 2 * capital.clamp(max=2) + 6 * digit.clamp(max=1)
    return torch.where(number_BW > 0, _codes(number_BW) + 1, word_BW)


def mixed(number: Tensor) -> Tensor:
    """Square modulo the prime: without it, sums of hash numbers would not tell the order of what is summed."""
    return (number * number) % PRIME


def _before(value_BT: Tensor, places: int) -> Tensor:
    """What stood so many places before; 0 before the beginning."""
    return nn.functional.pad(value_BT, (places, 0))[:, : value_BT.shape[1]] if places else value_BT


def _kind(piece: str) -> int:
    if not piece or piece.isspace():
        return BETWEEN
    # Part of a character (a byte beyond ASCII) is read as U+FFFD.
    letter = len(piece) == 1 and (unicodedata.category(piece)[0] in "LMN" or piece == "\ufffd")
    return WITHIN if letter and not _is_ideograph(piece) else ALONE


def _form(piece: str) -> int:
    """How many small letters, capitals and digits a piece has, as one number."""
    kinds = ((str.isdigit, DIGIT), (str.isupper, CAPITAL), (str.isalpha, SMALL))
    return sum(next((count for of, count in kinds if of(sign)), 0) for sign in piece)


def _is_ideograph(piece: str) -> bool:
    """Signs of scripts that are written without spaces: words of their own."""
    return "\u0e00" <= piece <= "\u0e7f" or "\u3040" <= piece <= "\u9fff" or "\uf900" <= piece <= "\ufaff"


def _codes(number: Tensor) -> Tensor:
    """Spread ids over the hash numbers, the same for the same id always."""
    return mixed((number * 48_271 + 11) % PRIME * 16_807 % PRIME)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end, as networks and floors see them."""
    kinds, spans, start = [_kind(character) for character in text], [], 0
    for at, kind in enumerate(kinds):
        if kind == BETWEEN:
            continue
        if kind == ALONE or at == 0 or kinds[at - 1] != WITHIN:
            start = at
        if kind == ALONE or at + 1 == len(text) or kinds[at + 1] != WITHIN:
            spans.append((start, at + 1))
    return spans
