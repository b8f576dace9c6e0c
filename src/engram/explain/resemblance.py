"""What an input resembles: the examples that the last hidden layer holds closest to it.

Shapes: M examples kept, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.predict.answering import hidden_of
from engram.predict.predictor import Predictor

AT_ONCE = 64


@dataclass
class Memory:
    """Some examples as the last hidden layer sees them, (M, D), of unit length around their mean."""

    predictor: Predictor
    items: Sequence[Any]
    mean: np.ndarray
    hidden: np.ndarray

    def nearest(self, item: Any, number: int = 4) -> list[tuple[int, float]]:
        """Return the places of the most similar examples with their similarity (cosine), the most similar first."""
        found = _hidden(self.predictor, [item])
        assert found is not None, "the network has such a layer"
        likeness_M = self.hidden @ _unit(found - self.mean)[0]
        order = np.argsort(-likeness_M, kind="stable")[:number]
        return [(int(at), float(likeness_M[at])) for at in order]


def memory(predictor: Predictor, items: Sequence[Any]) -> Memory | None:
    """Look at some examples; None where the network has no last hidden layer to be watched, or there are none."""
    hidden = _hidden(predictor, items) if len(items) else None
    if hidden is None:
        return None
    mean = hidden.mean(0)
    return Memory(predictor, items, mean, _unit(hidden - mean))


def _unit(value_MD: np.ndarray) -> np.ndarray:
    return value_MD / np.maximum(np.linalg.norm(value_MD, axis=1, keepdims=True), 1e-12)


def _hidden(predictor: Predictor, items: Sequence[Any]) -> np.ndarray | None:
    found = []
    for start in range(0, len(items), AT_ONCE):
        batch = predictor.encode(list(items[start : start + AT_ONCE]))
        hidden = hidden_of(predictor.task, predictor.module, batch)
        if hidden is None:
            return None
        found.append(np.asarray(hidden))
    return np.concatenate(found)
