"""N-grams that answers share with references: what BLEU and chrF count.

Shapes: N examples, S weightings, O orders of n-grams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def overlap(answer: Sequence[str], reference: Sequence[str], *, orders: int) -> np.ndarray:
    """Return for orders 1 to O how many n-grams (O, 3): shared, of the answer, of the reference.

    answer, reference: words, or characters of a text.
    """
    return np.array([_shared(answer, reference, order) for order in range(1, orders + 1)], np.int32)


def _shared(answer: Sequence[str], reference: Sequence[str], order: int) -> tuple[int, int, int]:
    ours, theirs = _ngrams(answer, order), _ngrams(reference, order)
    shared = sum(min(count, theirs[ngram]) for ngram, count in ours.items() if ngram in theirs)
    return shared, ours.total(), theirs.total()


def _ngrams(tokens: Sequence[str], order: int) -> Counter[object]:
    if isinstance(tokens, str):
        return Counter(tokens[start : start + order] for start in range(len(tokens) - order + 1))
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))


def totals(count_NO3: np.ndarray, weights_SN: np.ndarray) -> np.ndarray:
    """Return the weighted sums (S, O, 3), in float64, which counts whole corpora exactly."""
    flat_NK = count_NO3.reshape(len(count_NO3), -1).astype(np.float64)
    return (weights_SN.astype(np.float64) @ flat_NK).reshape(len(weights_SN), *count_NO3.shape[1:])
