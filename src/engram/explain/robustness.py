"""Can it be trusted: answers to examples that are slightly spoilt, and to what is unlike all that was learned from.

Shapes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.evaluate.intervals import of_share
from engram.predict.predictor import Predictor


@dataclass(frozen=True)
class Spoilt:
    """The share of right answers to examples that were altered so, with its 95 % interval. lost: right answers to the
    same examples, unspoilt, less these; low and high end of it by pairs."""

    name: str
    right: float
    low: float
    high: float
    lost: tuple[float, float, float]


@dataclass(frozen=True)
class Strange:
    """Things unlike any that were learned from: how well unfamiliarity tells them from examples (AUROC), and the share
    of them that is called unfamiliar."""

    name: str
    number: int
    auroc: float
    found: float


def spoilt(
    predictor: Predictor, items: Sequence[Any], label: np.ndarray, *, keep_going: Callable[[], bool] = lambda: True
) -> list[Spoilt]:
    """Answer for examples as they are, first, and then altered in every way that their feature knows.

    label: class numbers (N,), or yes or no (N, C). keep_going: asked before each way.
    """
    role = next(iter(predictor.task.inputs))
    right_N = _right(predictor, items, label)
    whole = float(right_N.mean())
    found = [Spoilt("as they are", whole, *of_share(whole, len(items)), (0.0, 0.0, 0.0))]
    for name, alter in predictor.features[role].alterations().items():
        if not keep_going():
            break
        random = np.random.default_rng(0)
        answered_N = _right(predictor, [alter(item, random) for item in items], label)
        share, lost_N = float(answered_N.mean()), right_N.astype(float) - answered_N
        half = 1.96 * float(lost_N.std()) / max(1, len(lost_N)) ** 0.5
        lost = (float(lost_N.mean()), float(lost_N.mean()) - half, float(lost_N.mean()) + half)
        found.append(Spoilt(name, share, *of_share(share, len(items)), lost))
    return found


def strangers(predictor: Predictor, items: Sequence[Any]) -> list[Strange]:
    """Compare the unfamiliarity of examples with that of as many things that are none; empty where it is not said."""
    role = next(iter(predictor.task.inputs))
    familiar_N = unfamiliarity(predictor, items)
    if familiar_N is None:
        return []
    found = []
    for name, values in predictor.features[role].strange(items, np.random.default_rng(0)).items():
        strange_N = unfamiliarity(predictor, values)
        assert strange_N is not None, "it is said of all inputs or of none"
        found.append(Strange(name, len(values), auroc(familiar_N, strange_N), float((strange_N > 1).mean())))
    return found


def unfamiliarity(predictor: Predictor, items: Sequence[Any]) -> np.ndarray | None:
    """Return the unfamiliarity (N,) of some items; None where the model does not say it."""
    answers = predictor.predict(list(items))
    if not answers or "unfamiliarity" not in answers[0]:
        return None
    return np.array([answer["unfamiliarity"] for answer in answers])


def auroc(low_N: np.ndarray, high_N: np.ndarray) -> float:
    """How often one of the second is above one of the first; ties count half."""
    ordered = np.sort(low_N)
    below = np.searchsorted(ordered, high_N, side="left") + np.searchsorted(ordered, high_N, side="right")
    return float(below.mean() / 2 / len(low_N))


def _right(predictor: Predictor, items: Sequence[Any], label: np.ndarray) -> np.ndarray:
    """Which examples (bool (N,)) are answered right: with their label, or all their labels."""
    logits = []
    for start in range(0, len(items), 256):
        logits.append(np.asarray(predictor.output(predictor.encode(items[start : start + 256]))[0]))
    logits_NC = np.concatenate(logits)
    if label.ndim == 1:
        return np.asarray(logits_NC.argmax(1) == label)
    return np.asarray(((logits_NC > 0) == (label > 0.5)).all(1))
