"""implicit's models on interactions that engram divided, tuned lightly by NDCG@10 on validation; then fitted anew with
the validation interactions and asked for the test.

    PYTHON with_implicit.py split.npz

Prints one line of JSON for each model.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender
from scipy.sparse import csr_matrix

Make = Callable[[], Any]

TRIED: dict[str, dict[str, Make]] = {
    "implicit ALS": {
        f"{f} factors, alpha {a}, regularisation {r}": lambda f=f, a=a, r=r: AlternatingLeastSquares(
            factors=f, alpha=a, regularization=r, iterations=15, random_state=0
        )
        for f in (32, 64, 128)
        for a in (1, 5, 20)
        for r in (0.05, 1.0)
    },
    "implicit BPR": {
        f"{f} factors, rate {lr}, regularisation {r}": lambda f=f, lr=lr, r=r: BayesianPersonalizedRanking(
            factors=f, learning_rate=lr, regularization=r, iterations=200, random_state=0
        )
        for f in (32, 64, 128)
        for lr in (0.01, 0.05)
        for r in (0.01, 0.05)
    },
    "implicit item-item": {
        f"{kind.__name__}, {k} neighbours": lambda kind=kind, k=k: kind(K=k)
        for kind in (CosineRecommender, BM25Recommender, ItemItemRecommender)
        for k in (20, 100, 300)
    },
}


def scores(make: Make, known: csr_matrix, wanted: csr_matrix) -> tuple[float, float]:
    """NDCG@10 and Recall@20 of a model fitted on what is known, over all items that were not taken."""
    model, asked = make(), np.flatnonzero(np.diff(wanted.indptr))
    model.fit(known, show_progress=False)
    top, _ = model.recommend(asked, known[asked], N=20, filter_already_liked_items=True)
    gain = 1 / np.log2(2 + np.arange(10))
    ndcg, recall = [], []
    for user, items in zip(asked, top, strict=True):
        own = wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]]
        hit = np.isin(items, own)
        ndcg.append((hit[:10] @ gain) / gain[: len(own)].sum())
        recall.append(hit.sum() / len(own))
    return float(np.mean(ndcg)), float(np.mean(recall))


def main(path: str) -> None:
    """Tune, fit and print."""
    given = np.load(path)
    shape = (int(given["user"].max()) + 1, int(given["num_items"]))

    def of(sides: tuple[int, ...]) -> csr_matrix:
        chosen = np.isin(given["side"], sides)
        ones = np.ones(int(chosen.sum()), np.float32)
        return csr_matrix((ones, (given["user"][chosen], given["item"][chosen])), shape)

    for model, tried in TRIED.items():
        began = time.perf_counter()
        ranked = {name: scores(make, of((0,)), of((1,)))[0] for name, make in tried.items()}
        best = max(ranked, key=lambda name: ranked[name])
        ndcg, recall = scores(tried[best], of((0, 1)), of((2,)))
        seconds = round(time.perf_counter() - began, 1)
        note = f"{best}; the best of {len(tried)} on validation"
        print(
            json.dumps({"model": model, "ndcg@10": ndcg, "recall@20": recall, "seconds": seconds, "note": note}),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
