"""What all peers that recommend do alike: read the interactions that engram divided, tune lightly by NDCG@10 on
validation, fit anew with the validation interactions, and be asked for the test over all items that were not taken.

Each peer is a script that runs in an environment of its own, where only NumPy is sure to be there, and prints one line
of JSON for each model:

    python with_implicit.py split.npz

Shapes: E interactions of all, U users who are asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PATIENCE = 3
"""Stages of training without gain after which a setting is left."""

NUM_TOP = 20


@dataclass(frozen=True)
class Known:
    """Interactions (E,), users one after the other, the earliest of each first."""

    user: np.ndarray
    item: np.ndarray
    num_users: int
    num_items: int

    @property
    def begins(self) -> np.ndarray:
        """Where each user's interactions begin, and the end of the last one's."""
        return np.searchsorted(self.user, np.arange(self.num_users + 1))


Top = Callable[[np.ndarray], np.ndarray]
"""Users (U,) -> the items that a model ranks first for each, the best first (U, 20), none of them taken before."""

Fit = Callable[[Known], Iterable[Top]]
"""Trains a model; yields what it answers after each stage of training."""


def scores(top: Top, wanted: Known) -> tuple[float, float]:
    """NDCG@10 and recall@20, the mean over users with something wanted."""
    begins, asked = wanted.begins, np.unique(wanted.user)
    gain, ndcg, recall = 1 / np.log2(2 + np.arange(10)), [], []
    for user, items in zip(asked, top(asked), strict=True):
        own = wanted.item[begins[user] : begins[user + 1]]
        hit = np.isin(items, own)
        ndcg.append((hit[:10] @ gain) / gain[: len(own)].sum())
        recall.append(hit.sum() / len(own))
    return float(np.mean(ndcg)), float(np.mean(recall))


def report(path: str | Path, models: dict[str, dict[str, Fit]]) -> None:
    """Tune, fit and score each model, of which several settings are tried; print what came out."""
    given = np.load(path)
    shape = int(given["user"].max()) + 1, int(given["num_items"])

    def of(*sides: int) -> Known:
        chosen = np.isin(given["side"], sides)
        return Known(given["user"][chosen], given["item"][chosen], *shape)

    for model, tried in models.items():
        began = time.perf_counter()
        ranked = {(name, n): found for name, fit in tried.items() for n, found in _stages(fit, of(0), of(1))}
        best, number = max(ranked, key=lambda stage: ranked[stage])
        *_, (_, top) = zip(range(number), tried[best](of(0, 1)), strict=False)
        ndcg, recall = scores(top, of(2))
        note = f"{best}, {number} of its stages; the best of {len(tried)} settings on validation"
        line = {"model": model, "ndcg@10": ndcg, "recall@20": recall, "note": note}
        print(json.dumps({**line, "seconds": round(time.perf_counter() - began, 1)}), flush=True)


def _stages(fit: Fit, known: Known, wanted: Known) -> Iterable[tuple[int, float]]:
    """Number and NDCG@10 of each stage, until nothing is gained any more."""
    best, at = -1.0, 0
    for number, top in enumerate(fit(known), start=1):
        found, _ = scores(top, wanted)
        yield number, found
        best, at = max((best, at), (found, number), key=lambda one: one[0])
        if number - at >= PATIENCE:
            return
