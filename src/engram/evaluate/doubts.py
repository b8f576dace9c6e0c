"""Labels that are probably wrong, by confident learning (Northcutt et al. 2021, arXiv:1911.00068).

A model that has not learned from an example is asked what it is. Where it is as sure of another class as it usually is
of that class's own examples, the answer contradicts the label. Of each class as many labels as are contradicted are in
doubt: the least likely ones, which are wrong more often than the contradicted ones themselves. Answers to rows held out
of training serve as well as those of several models that each left some rows out.

Shapes: N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BELIEVED = 0.9
"""How much probability a label must lack, beside the contradiction, before another is proposed in its place: with 10 %
of fashion_mnist's labels wrong, 90 % of the labels so contradicted are wrong, and on clean ones 0.7 % are named."""


@dataclass(frozen=True)
class Doubts:
    """rows: positions of doubtful examples, the most doubtful first. answer: what each probably is. sure: whether that
    may be believed without a look. score: how much probability the given label lacks, 0 to 1."""

    rows: np.ndarray
    answer: np.ndarray
    sure: np.ndarray
    score: np.ndarray


def doubts(probability_NC: np.ndarray, label_N: np.ndarray) -> Doubts:
    """Return the labels in doubt. label: class numbers, -1 unknown (never in doubt)."""
    known = np.flatnonzero(label_N >= 0)
    probability_NC, label_N = probability_NC[known], label_N[known]
    contradicted_N = _contradicted(probability_NC, label_N)
    of_label_N = probability_NC[np.arange(len(known)), label_N]
    order = np.argsort(of_label_N, kind="stable")
    number_C = np.bincount(label_N[contradicted_N], minlength=probability_NC.shape[1])
    picked = np.sort(np.concatenate([order[label_N[order] == c][:number] for c, number in enumerate(number_C)]))
    answer_N = probability_NC.argmax(1)
    picked = picked[answer_N[picked] != label_N[picked]]
    picked = picked[np.argsort(of_label_N[picked], kind="stable")]
    lacking = 1 - of_label_N[picked]
    return Doubts(known[picked], answer_N[picked], contradicted_N[picked] & (lacking >= BELIEVED), lacking)


def doubtful(probability_NC: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the positions of examples with a label in doubt, the most doubtful first.

    label: class numbers (N,), -1 unknown, or yes or no (N, C), each of which may be in doubt.
    """
    if label.ndim == 1:
        return doubts(probability_NC, label).rows
    score_N = np.zeros(len(label))
    for probability_N, given_N in zip(probability_NC.T, label.T > 0.5, strict=True):
        found = doubts(np.stack([1 - probability_N, probability_N], 1), given_N.astype(np.int64))
        score_N[found.rows] = np.maximum(score_N[found.rows], found.score)
    order = np.argsort(-score_N, kind="stable")
    return order[score_N[order] > 0]


def _contradicted(probability_NC: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Which examples (bool (N,)) the model holds for another class as surely as it usually does that class's own."""
    likely_NC = np.where(probability_NC >= _usual(probability_NC, label_N), probability_NC, 0)
    return (likely_NC.max(1, initial=0) > 0) & (likely_NC.argmax(1) != label_N)


def _usual(probability_NC: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Of each class the mean probability that its own examples are given (C,); 1 where it has none."""
    count_C = np.bincount(label_N, minlength=probability_NC.shape[1])
    own_N = probability_NC[np.arange(len(label_N)), label_N]
    total_C = np.bincount(label_N, weights=own_N, minlength=probability_NC.shape[1])
    return np.where(count_C > 0, total_C / np.maximum(count_C, 1), 1.0)
