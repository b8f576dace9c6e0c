"""Texts as people in a hurry write them, and what is no text at all."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from engram.features.feature import Alteration

TYPOS = 0.1
"""Share of the words in which two letters change places, or a letter is doubled or missing."""

DROPPED = 0.1
"""Share of the words that are left out."""


def _typos(value: Any, random: np.random.Generator) -> str:
    return " ".join(_mistyped(word, random) if random.random() < TYPOS else word for word in str(value).split(" "))


def _mistyped(word: str, random: np.random.Generator) -> str:
    if len(word) < 3:
        return word
    at = int(random.integers(len(word) - 1))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return [swapped, word[:at] + word[at] + word[at:], word[:at] + word[at + 1 :]][random.integers(3)]


def _dropped(value: Any, random: np.random.Generator) -> str:
    words = str(value).split(" ")
    return " ".join(word for word in words if random.random() >= DROPPED) or words[0]


ALTERATIONS: dict[str, Alteration] = {
    "typing errors": _typos,
    "missing words": _dropped,
    "capitals": lambda value, random: str(value).upper(),
    "small letters": lambda value, random: str(value).lower(),
    "no punctuation": lambda value, random: (
        str(value).translate(str.maketrans("", "", string.punctuation)).strip() or str(value)
    ),
}


def strange(values: Sequence[Any], random: np.random.Generator) -> dict[str, list[str]]:
    """Letters without sense, and the letters of texts in another order."""
    letters = np.array(list(string.ascii_lowercase + "    "))
    return {
        "random letters": ["x" + "".join(random.choice(letters, len(str(value)))) for value in values],
        "shuffled letters": ["".join(random.permutation(list(str(value)))).strip() or "x" for value in values],
    }
