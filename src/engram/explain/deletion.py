"""The deletion test: take away first what is said to speak most for the answer, and see how soon the answer is gone.

An attribution that has found what the answer hangs on makes the curve fall faster than a random order does (Petsiuk et
al. 2018, "RISE", arXiv:1806.07421). The one of several attributions that does so best on an input explains it; plain
gradients and random orders stand beside it and are never chosen.

Shapes: P parts, S shares of them that are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engram.explain import attribution
from engram.explain.question import Question, ask
from engram.predict.predictor import Predictor

SHARES = np.linspace(0, 1, 11)
RANDOM_ORDERS = 6
CHOSEN, PLAIN, RANDOM = "chosen", "plain gradients", "random order"

Attribution = Callable[[Question], "np.ndarray | None"]
METHODS: dict[str, Attribution] = {
    "occlusion": attribution.occlusion,
    "many orders": attribution.by_orders,
    "integrated gradients": attribution.integrated,
}
"""Those that may be chosen."""


@dataclass(frozen=True)
class Tried:
    """An attribution of one input, put to the test. influence: (P,), for the answer or (below zero) against it.

    curve: (S,), what is left of the answer with each share of the parts gone: its probability, or how far a number has
    moved.
    """

    method: str
    influence: np.ndarray
    curve: np.ndarray


def explained(question: Question) -> Tried:
    """Attribute an input in every way there is, and return the one whose order takes the answer away soonest."""
    tried = [
        Tried(name, influence, curve(question, influence))
        for name, method in METHODS.items()
        if (influence := method(question)) is not None
    ]
    return min(tried, key=lambda one: float(one.curve.mean()))


def curve(question: Question, influence: np.ndarray) -> np.ndarray:
    """Return (S,) what is left of the answer as shares of the parts are gone, the most influential first."""
    support_S = question.support(_gone(influence))
    return question.probability(support_S) if question.claim.log_odds else support_S - support_S[0]


def _gone(influence: np.ndarray) -> np.ndarray:
    """Marks (S, P) of the parts that are gone."""
    rank_P = np.argsort(np.argsort(-influence, kind="stable"), kind="stable")
    number_S = np.rint(SHARES * len(influence)).astype(int)
    return np.asarray(rank_P[None] < number_S[:, None])


@dataclass
class Curves:
    """Deletion curves by name, (N, S) each for the same N inputs. chosen: how often each method was. log_odds: whether
    what is left is a probability, else how far a number has moved."""

    found: dict[str, np.ndarray]
    chosen: dict[str, int] = field(default_factory=dict)
    log_odds: bool = True

    def area(self, name: str) -> np.ndarray:
        """(N,) the mean of each curve: the less, the sooner the answer was gone."""
        return np.asarray(self.found[name].mean(1))

    def against(self, name: str) -> tuple[float, float, float]:
        """By how much the chosen attributions are below another order: (mean, and its 95 % interval)."""
        gain_N = self.area(name) - self.area(CHOSEN)
        random = np.random.default_rng(0)
        means = gain_N[random.integers(0, len(gain_N), (1000, len(gain_N)))].mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        return float(gain_N.mean()), float(low), float(high)


def test(predictor: Predictor, items: Sequence[Any], *, keep_going: Callable[[], bool] = lambda: True) -> Curves | None:
    """Put attributions of some inputs to the test, beside plain gradients and random orders.

    keep_going: asked after each input. None where no input can be taken apart.
    """
    random = np.random.default_rng(0)
    curves: dict[str, list[np.ndarray]] = {}
    chosen: dict[str, int] = {}
    log_odds = True
    for item in items:
        if (question := ask(predictor, item)) is None:
            continue
        best, number, log_odds = explained(question), len(question.parts.names), question.claim.log_odds
        chosen[best.method] = chosen.get(best.method, 0) + 1
        orders = [curve(question, random.permutation(number)) for _ in range(RANDOM_ORDERS)]
        curves.setdefault(CHOSEN, []).append(best.curve)
        curves.setdefault(RANDOM, []).append(np.mean(orders, 0))
        if (plain := attribution.gradients(question)) is not None:
            curves.setdefault(PLAIN, []).append(curve(question, plain))
        if not keep_going():
            break
    return Curves({name: np.stack(some) for name, some in curves.items()}, chosen, log_odds) if curves else None
