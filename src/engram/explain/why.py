"""Why this answer: what speaks for it and against it, what would change it, and what it resembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.explain import deletion
from engram.explain.question import Question, asked
from engram.predict.predictor import Predictor

MOST_TRIED = 60
"""Parts that are put back one by one when a small set is looked for."""


@dataclass(frozen=True)
class Why:
    """influence: (P,) of each part on the answer, as `method` found it. curve: see `engram.explain.deletion`.

    changing: parts without which the answer would be `instead`, as few as were found. Empty where taking away what
    speaks for the answer never leads to another one. alternatives: whether there are other answers at all.
    """

    question: Question
    method: str
    influence: np.ndarray
    curve: np.ndarray
    changing: list[int]
    instead: str
    alternatives: bool

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        parts = self.question.parts
        told = [
            {"part": name, **_place(parts.kind, place), "influence": round(float(value), 4)}
            for name, place, value in zip(parts.names, parts.places.tolist(), self.influence, strict=True)
        ]
        found = {"explains": self.question.answer, "method": self.method, "kind": parts.kind, "parts": told}
        found["unit"] = "log-odds" if self.question.claim.log_odds else "its own unit"
        if not self.changing:
            return found
        return {**found, "without": [parts.names[at] for at in self.changing], "answer_without": self.instead}


def why(question: Question) -> Why:
    """Explain one answer."""
    best = deletion.explained(question)
    nothing_gone = np.zeros((1, len(best.influence)), bool)
    alternatives = question.claim.log_odds and (
        not question.claim.exclusive or question.scores(nothing_gone).shape[1] > 1
    )
    changing, instead = _changing(question, best.influence) if alternatives else ([], "")
    return Why(question, best.method, best.influence, best.curve, changing, instead, alternatives)


def reasoned(predictor: Predictor, items: Sequence[Any], **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Answer for items, and say what each answer hangs on; return (answers, what was found, None for an error).

    Answers have beside their own: "explains" (the answer), "method", "kind" and "parts", each with its "influence";
    and where there is such a thing "without" (parts) and "answer_without".
    """
    answers = list(predictor.predict(list(items), **options))
    found = [
        None if "error" in answer else why(asked(predictor, item)) for item, answer in zip(items, answers, strict=True)
    ]
    for answer, one in zip(answers, found, strict=True):
        if one is not None:
            answer |= one.record()
    return answers, found


def _place(kind: str, place: Sequence[int]) -> dict[str, Any]:
    if kind == "words":
        return {"start": place[0], "end": place[1]}
    return {"box": place} if kind == "pixels" else {}


def _changing(question: Question, influence: np.ndarray) -> tuple[list[int], str]:
    """Take parts away, the most influential first, until the answer changes; then put back what was not needed."""
    order = np.argsort(-influence, kind="stable")
    gone_KP = np.zeros((len(order) + 1, len(order)), bool)
    for number in range(1, len(order) + 1):
        gone_KP[number] = gone_KP[number - 1]
        gone_KP[number, order[number - 1]] = True
    holds_K = np.asarray(question.claim.holds(question.scores(gone_KP)))
    if holds_K.all():
        return [], ""
    first = int(np.flatnonzero(~holds_K)[0])
    gone_P = gone_KP[first].copy()
    for part in order[:first][::-1][:MOST_TRIED]:  # the least influential first
        gone_P[part] = False
        if bool(question.claim.holds(question.scores(gone_P[None]))[0]):
            gone_P[part] = True
    scores_A = question.scores(gone_P[None])[0]
    instead = question.claim.name(int(scores_A.argmax())) if question.claim.exclusive else "not this one"
    return np.flatnonzero(gone_P).tolist(), instead
