"""A conversation taken apart into the words that were said before its last turn, the reply.

Shapes: K variants, P words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engram.core.parts import Parts
from engram.core.spelling import word_spans
from engram.features._parts_of_texts import MOST_WORDS, belonging, without

Talk = Sequence[tuple[str, str]]


def parts_of(
    turns: Talk, *, encode: Callable[[list[Talk]], Any], ids: Sequence[list[int]], decode: Callable[..., str]
) -> Parts | None:
    """Take apart what was said before the last turn.

    encode: conversations, whose turns may be blank. ids: of the text of each turn; in a network the id of a role stands
    before them, an END behind, and BEGIN before all.
    """
    asked, reply = turns[:-1], turns[-1]
    spans_of = [word_spans(text) for _, text in asked]
    turn_P = np.repeat(np.arange(len(asked)), [len(spans) for spans in spans_of])[:MOST_WORDS]
    span_P = [span for spans in spans_of for span in spans][:MOST_WORDS]
    if not span_P:
        return None

    def encoded(gone_KP: np.ndarray) -> Any:
        return encode([[*map(left, range(len(asked)), [gone_P] * len(asked)), reply] for gone_P in gone_KP])

    def left(turn: int, gone_P: np.ndarray) -> tuple[str, str]:
        role, text = asked[turn]
        return role, without(text, [span_P[at] for at in np.flatnonzero(gone_P & (turn_P == turn))])

    lines = [f"{role}: {text}" for role, text in asked]
    begins = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
    begins += [len(line) - len(text) for line, (_, text) in zip(lines, asked, strict=True)]
    names = [asked[turn][1][start:end] for turn, (start, end) in zip(turn_P, span_P, strict=True)]
    word_N = _words_of_ids([text for _, text in asked], spans_of, ids, decode)
    return Parts(
        "words",
        "\n".join(lines),
        names,
        np.array(span_P) + begins[turn_P][:, None],
        encoded,
        np.eye(len(span_P), dtype=bool),
        {len(word_N): np.where(word_N < len(span_P), word_N, -1)},
    )


def _words_of_ids(
    texts: list[str],
    spans_of: list[list[tuple[int, int]]],
    ids: Sequence[list[int]],
    decode: Callable[..., str],
) -> np.ndarray:
    """Which word each id is of that a network reads up to the role of whoever replies; -1 for none."""
    found, first = [np.array([-1])], 0
    for text, spans, said in zip(texts, spans_of, ids, strict=False):
        none = np.full(len(said), -1)
        word_N = belonging(text, spans, said, decode).get(len(said), none) if spans and said else none
        found.append(np.pad(np.where(word_N >= 0, word_N + first, -1), 1, constant_values=-1))
        first += len(spans)
    return np.concatenate([*found, [-1]])
