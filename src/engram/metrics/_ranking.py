"""Ranking examples by score, which AUROC and average precision share.

Shapes: N examples, S weightings, K rankings (one a class), G groups of neighbours in a ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engram.metrics._totals import array

_DRAWS = 64  # weightings worked on at a time, so that memory stays flat: 10,000 examples x 64 x 4 B = 2.6 MB


def rankings(output: Any, label: Any) -> dict[str, np.ndarray]:
    """Keep "score" (B, K) float32 and "label", (B,) class numbers or (B, K) yes or no.

    Scores are log-odds, which order examples as probabilities do but never saturate. Two classes that
    exclude each other need one ranking: of the second class.
    """
    if label.ndim == 2:
        return {"score": array(output), "label": array(label) > 0.5}
    return {"score": array(log_odds(output)), "label": array(label).astype(np.int32)}


def log_odds(logits_BC: Any) -> Any:
    """Return log(p / (1 - p)) of softmax probabilities: (B, C), or (B, 1), of the second, for two classes."""
    logits_BC = logits_BC.cpu().double()  # not every device has double
    if logits_BC.shape[1] == 2:
        return (logits_BC[:, 1:] - logits_BC[:, :1]).float()
    logprob_BC = logits_BC.log_softmax(1).clamp(max=-1e-15)
    return (logprob_BC - (-logprob_BC.expm1()).log()).float()


def mean_over_rankings(
    statistics: dict[str, np.ndarray],
    weights_SN: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return (S,) the mean of `score` over the rankings that have one, NaN where none has.

    `score` takes the total weights (G, S) of positives and of negatives by group, highest score first, and
    returns (S,) scores, NaN where a weighting has none. Groups are examples with equal scores, or a run of negatives.
    """
    scores = [np.full(len(weights_SN), np.nan)]
    for score_N, positive_N, known_N in each_ranking(statistics):
        weights_NS = np.ascontiguousarray(weights_SN[:, known_N].T)
        scores.append(_one_ranking(score_N, positive_N, weights_NS, score))
    return _mean_of_known(np.stack(scores))


def each_ranking(statistics: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (scores, which are positive, which rows (N,) these are) of each ranking with positives and negatives."""
    label, score_NK = statistics["label"], statistics["score"]
    known_N = label >= 0 if label.ndim == 1 else np.ones(len(label), bool)
    label, score_NK = label[known_N], score_NK[known_N]
    first = 1 if score_NK.shape[1] == 1 and label.ndim == 1 else 0
    for k in range(score_NK.shape[1]):
        positive_N = label == first + k if label.ndim == 1 else label[:, k]
        if positive_N.any() and not positive_N.all():
            yield score_NK[:, k], positive_N, known_N


def _one_ranking(
    score_N: np.ndarray,
    positive_N: np.ndarray,
    weights_NS: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    order_N = np.argsort(-score_N, kind="stable")
    positive_N = positive_N[order_N]
    starts_G = _group_starts(score_N[order_N], positive_N)
    blocks = []
    for start in range(0, weights_NS.shape[1], _DRAWS):
        all_NS = weights_NS[order_N, start : start + _DRAWS]
        all_GS = np.add.reduceat(all_NS, starts_G, axis=0)
        all_NS[~positive_N] = 0
        positive_GS = np.add.reduceat(all_NS, starts_G, axis=0)
        blocks.append(score(positive_GS, all_GS - positive_GS))
    return np.concatenate(blocks)


def _group_starts(score_N: np.ndarray, positive_N: np.ndarray) -> np.ndarray:
    """Where groups of equal scores start, neighbouring groups without a positive taken as one.

    The order among negatives changes neither score, and there are many of them with many classes.
    """
    starts_G = np.flatnonzero(np.concatenate([[True], score_N[1:] != score_N[:-1]]))
    empty_G = ~np.logical_or.reduceat(positive_N, starts_G)
    return starts_G[~(empty_G & np.concatenate([[False], empty_G[:-1]]))]


def _mean_of_known(scores_KS: np.ndarray) -> np.ndarray:
    known_KS = ~np.isnan(scores_KS)
    total_S, count_S = np.where(known_KS, scores_KS, 0).sum(0), known_KS.sum(0)
    return np.divide(total_S, count_S, out=np.full(len(total_S), np.nan), where=count_S > 0)
