"""implicit's models on interactions that engram divided; see `ranking`.

PYTHON with_implicit.py split.npz
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender
from ranking import NUM_TOP, Fit, Known, Top, report
from scipy.sparse import csr_matrix


def fit(kind: Any, **settings: Any) -> Fit:
    """A model of implicit's, fitted in one stage."""

    def fitted(known: Known) -> Iterator[Top]:
        ones, shape = np.ones(len(known.user), np.float32), (known.num_users, known.num_items)
        taken, model = csr_matrix((ones, (known.user, known.item)), shape), kind(**settings)
        model.fit(taken, show_progress=False)
        yield lambda users: model.recommend(users, taken[users], N=NUM_TOP, filter_already_liked_items=True)[0]

    return fitted


MODELS: dict[str, dict[str, Fit]] = {
    "implicit ALS": {
        f"{factors} factors, alpha {alpha}, regularisation {ridge}": fit(
            AlternatingLeastSquares, factors=factors, alpha=alpha, regularization=ridge, iterations=15, random_state=0
        )
        for factors in (32, 64, 128)
        for alpha in (1, 5, 20)
        for ridge in (0.05, 1.0)
    },
    "implicit BPR": {
        f"{factors} factors, rate {rate}, regularisation {ridge}": fit(
            BayesianPersonalizedRanking,
            factors=factors, learning_rate=rate, regularization=ridge, iterations=200, random_state=0,
        )
        for factors in (32, 64, 128)
        for rate in (0.01, 0.05)
        for ridge in (0.01, 0.05)
    },
    "implicit item-item": {
        f"{kind.__name__}, {neighbours} neighbours": fit(kind, K=neighbours)
        for kind in (CosineRecommender, BM25Recommender, ItemItemRecommender)
        for neighbours in (20, 100, 300)
    },
}  # fmt: skip


if __name__ == "__main__":
    report(sys.argv[1], MODELS)
