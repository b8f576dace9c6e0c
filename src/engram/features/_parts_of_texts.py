"""A text taken apart into its words, as networks and floors see them.

Shapes: K variants, P words, T ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engram.core.parts import Parts
from engram.core.spelling import word_spans

MOST_WORDS = 400
"""Words of a text that are taken away one by one; of longer texts the first ones."""

MOST_IDS = 2000
"""Ids of a text of which it is said to which word they belong."""


def parts_of(
    text: str, *, encode: Callable[[list[str]], Any], ids: list[int], decode: Callable[..., str]
) -> Parts | None:
    """Take a text apart. encode: texts, which may be blank. ids: of the text, and how to read them."""
    spans = word_spans(text)[:MOST_WORDS]
    if not spans:
        return None

    def encoded(gone_KP: np.ndarray) -> Any:
        return encode([without(text, [span for span, gone in zip(spans, row, strict=True) if gone]) for row in gone_KP])

    return Parts(
        "words",
        text,
        [text[start:end] for start, end in spans],
        np.array(spans),
        encoded,
        np.eye(len(spans), dtype=bool),
        belonging(text, spans, ids, decode),
    )


def without(text: str, gone: list[tuple[int, int]]) -> str:
    """Return the text without some words; a space where one stood alone, so that no others grow together."""
    for start, end in reversed(gone):
        text = f"{text[:start].rstrip()} {text[end:].lstrip()}"
    return text.strip() or " "


def belonging(
    text: str, spans: list[tuple[int, int]], ids: list[int], decode: Callable[..., str]
) -> dict[int, np.ndarray]:
    """Return which word each id is of, and each of the words that a network finds, by how many there are.

    Signs are counted, not spaces, of which some tokenizers put more between words.
    """
    found = {len(spans): np.arange(len(spans))}
    if len(ids) > MOST_IDS:
        return found
    word_of = np.full(len(text), -1)
    for number, (start, end) in enumerate(spans):
        word_of[start:end] = number
    sign = word_of[[at for at, character in enumerate(text) if not character.isspace()]]
    ends = np.cumsum([_signs(decode([one])) for one in ids], dtype=int)
    if ends[-1] != _signs(decode(ids)):  # where pieces read otherwise alone than together
        ends = np.array([_signs(decode(ids[: at + 1])) for at in range(len(ids))])
    says = np.diff(ends, prepend=0) > 0  # an id that stands for no sign belongs to no word
    found[len(ids)] = np.where(says, sign[np.clip(ends - 1, 0, len(sign) - 1)], -1)
    return found


def _signs(text: str) -> int:
    return sum(not character.isspace() for character in text)
