"""Drift: do the inputs that come still look like those the model was validated on?

Two numbers are watched over the last answers: the share of inputs that the model calls unfamiliar, and how often
it answers with each class; both beside what they were on the validation rows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions

RECENT = 1000
"""Answers that drift is measured over."""

MOST_CLASSES = 50
"""Classes that are counted by name; the others together."""

OTHERS = "(others)"


class Drift:
    """Counts the answers of one version. expected: class -> share on validation rows; unfamiliar there, or None."""

    def __init__(self, expected: Mapping[str, float], unfamiliar: float | None) -> None:
        self.expected, self.expected_unfamiliar = dict(expected), unfamiliar
        self.answers = self.unreadable = self.unfamiliar = 0
        self._recent: deque[tuple[tuple[str, ...], bool]] = deque(maxlen=RECENT)

    def add(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Count some answers; called by one thread at a time."""
        for answer in answers:
            if "error" in answer:
                self.unreadable += 1
                continue
            unfamiliar = bool(answer.get("unfamiliar", False))
            self.answers += 1
            self.unfamiliar += unfamiliar
            self._recent.append((self._classes(answer), unfamiliar))

    def _classes(self, answer: Mapping[str, Any]) -> tuple[str, ...]:
        named = [answer["label"]] if "label" in answer else answer.get("labels", ())
        return tuple(name if name in self.expected else OTHERS for name in named)

    def recent(self) -> tuple[dict[str, float], float]:
        """(class -> share of the last answers, share of unfamiliar inputs among them)."""
        kept = list(self._recent)
        counts = Counter(name for classes, _ in kept for name in classes)
        number = max(1, len(kept))
        shares = {name: counts[name] / number for name in (*self.expected, *({OTHERS} & set(counts)))}
        return shares, sum(unfamiliar for _, unfamiliar in kept) / number

    def distance(self, shares: Mapping[str, float]) -> float:
        """How far class frequencies are from validation's: total variation, 0 the same, 1 nothing in common."""
        names = {*shares, *self.expected}
        return sum(abs(shares.get(name, 0.0) - self.expected.get(name, 0.0)) for name in names) / 2


def of_run(run: RunDirectory) -> Drift:
    """Begin to count beside a run's kept answers to its validation rows; beside nothing where none were kept."""
    try:
        frame = predictions.read(run)
    except RunError:
        return Drift({}, None)
    frame = frame.filter(frame["split"] == "val")
    if not len(frame):
        return Drift({}, None)
    predicted = frame["predicted"].explode() if frame["predicted"].dtype.is_nested() else frame["predicted"]
    counts = Counter(predicted.drop_nulls().to_list()).most_common()
    shares = {name: count / len(frame) for name, count in counts[:MOST_CLASSES]}
    if left := sum(count for _, count in counts[MOST_CLASSES:]):
        shares[OTHERS] = left / len(frame)
    known = frame["unfamiliarity"].drop_nulls().to_numpy() if "unfamiliarity" in frame.columns else np.zeros(0)
    return Drift(shares, float((known > 1).mean()) if len(known) else None)
