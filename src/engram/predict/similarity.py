"""What is like an item: what is taken near it, and what is described alike.

Neither hangs on the network: what it learned says what comes next, which is often the same for all items. How both
count was chosen by how high the item that came next is ranked by the one before (LOG.md).

Shapes: I items, M marks of all items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.features.history import spans

REACH = 100
"""Interactions before and after an item that are near it."""

DOUBT = 10.0
"""Interactions near an item of which half are believed: few may be chance."""

ALIKE, ALONE = 4.0, 0.02
"""How much descriptions count: what is taken near one another and described alike is worth so many times more; where
nobody took two items near one another, descriptions decide alone.
"""


def likeness(history: Any, item: int) -> np.ndarray:
    """How like an item all items are (I,), from 0 on. history: the fitted feature."""
    described_I = described(history, item)
    return near(history, item) * (1 + ALIKE * described_I) + ALONE * described_I


def near(history: Any, item: int) -> np.ndarray:
    """How much more often than by chance items are taken near one (I,): a cosine, less where few say it.

    What was taken n interactions away counts 1 / √n.
    """
    place_P = np.flatnonzero(history.item == item)
    user_P = np.searchsorted(history.begins, place_P, side="right") - 1
    first_P = np.maximum(place_P - REACH, history.begins[user_P])
    size_P = np.minimum(place_P + REACH + 1, history.begins[user_P + 1]) - first_P
    other = spans(first_P, size_P)
    away = np.abs(other - np.repeat(place_P, size_P))
    counts = (away > 0) & (history.item[other] >= 0)
    together_I = np.bincount(history.item[other[counts]], away[counts] ** -0.5, minlength=history.size)
    taken_I = np.bincount(history.item[history.item >= 0], minlength=history.size)
    cosine_I = together_I / np.sqrt(np.maximum(1, taken_I * taken_I[item]))
    return cosine_I * together_I / (together_I + DOUBT)


def described(history: Any, item: int) -> np.ndarray:
    """The cosine of items' marks with those of one (I,), each of which counts the more the fewer items have it."""
    mark_M, begins_I, known = history.catalogue.marks
    row_M = np.repeat(np.arange(history.size), np.diff(begins_I))
    rarity = np.log(history.size / np.maximum(1, np.bincount(mark_M, minlength=len(known))))
    length_I = np.sqrt(np.bincount(row_M, rarity[mark_M] ** 2, minlength=history.size))
    own = np.zeros(len(known))
    own[mark_M[begins_I[item] : begins_I[item + 1]]] = 1.0
    product_I = np.bincount(row_M, own[mark_M] * rarity[mark_M] ** 2, minlength=history.size)
    return product_I / np.maximum(length_I * length_I[item], 1e-9)
