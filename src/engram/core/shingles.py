"""Shingles: short runs of letters by which texts are compared, whatever their case, spaces and punctuation.

Shapes: B texts, S shingles of all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

LENGTH = 7
"""Letters of a shingle: more than a word has as a rule, or long texts would share most of theirs by chance."""

_FACTORS = np.random.default_rng(5).integers(1, 2**63, 16, dtype=np.uint64) | np.uint64(1)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def shingles(texts: Sequence[np.ndarray], *, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of all shingles (uint64 (S,)), text after text, and how many each text has (int64 (B,)).

    texts: UTF-8 bytes, sound. Letters and digits count, in small letters; anything else between them is one space.
    A text that is shorter than a shingle is one by itself; one without letters has none.
    """
    letters, sizes = letters_of(texts)
    numbers = np.where(sizes >= length, sizes - length + 1, np.minimum(sizes, 1))
    # Zeros between texts, which stand for nothing else: the shingle of a short one ends in them.
    begin = np.cumsum(sizes) - sizes
    spread = np.zeros(len(letters) + length * len(sizes), np.uint64)
    spread[np.arange(len(letters)) + np.repeat(length * np.arange(len(sizes)), sizes)] = letters.astype(np.uint64) + 1
    hashes = np.zeros(len(spread) - length + 1 if len(spread) >= length else 0, np.uint64)
    for place in range(length):
        hashes += spread[place : place + len(hashes)] * _FACTORS[place]
    wanted = _ranges(begin + length * np.arange(len(sizes)), numbers)
    return _mixed(hashes[wanted]), numbers


def letters_of(texts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return letters and digits as code points in small letters, runs of anything else as one 0, and sizes (B,)."""
    lengths = np.array([len(text) for text in texts], np.int64)
    utf8 = np.concatenate(texts) if len(texts) else np.zeros(0, np.uint8)
    text_of = np.repeat(np.arange(len(texts)), lengths)
    if (utf8 < 0x80).all():
        folded = _folding()[utf8]
    else:
        points = np.frombuffer(utf8.tobytes().decode("utf-8").encode("utf-32-le"), np.uint32)
        text_of = text_of[(utf8 & 0xC0) != 0x80]
        folded = np.where(points > 0xFFFF, points, _folding()[np.minimum(points, 0xFFFF)])
    first = np.ones(len(folded), bool)
    first[1:] = text_of[1:] != text_of[:-1]
    kept = folded != 0
    kept[1:] |= (folded[:-1] != 0) & ~first[1:]
    folded, text_of = folded[kept], text_of[kept]
    last = np.ones(len(folded), bool)
    last[:-1] = text_of[1:] != text_of[:-1]
    kept = ~(last & (folded == 0))
    return folded[kept], np.bincount(text_of[kept], minlength=len(texts))


@cache
def _folding() -> np.ndarray:
    """Code point -> its small letter, 0 for what is no letter or digit. Beyond 0xFFFF (emoji, say) all count."""
    table = np.zeros(0x10000, np.uint32)
    for point in range(0x10000):
        sign = chr(point)
        if sign.isalnum():
            small = sign.lower()
            table[point] = ord(small) if len(small) == 1 else point
    return table


def _ranges(begin: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Positions begin, begin + 1, ... of each range, one range after the other."""
    before = np.cumsum(numbers) - numbers
    return np.arange(numbers.sum()) + np.repeat(begin - before, numbers)


def _mixed(hashes: np.ndarray) -> np.ndarray:
    hashes = (hashes ^ (hashes >> np.uint64(31))) * _MIX
    return hashes ^ (hashes >> np.uint64(29))


def split_texts(values: np.ndarray, numbers: np.ndarray) -> list[np.ndarray]:
    """What stands text after text in one array as one array a text."""
    return np.split(values, np.cumsum(numbers)[:-1]) if len(numbers) else []
