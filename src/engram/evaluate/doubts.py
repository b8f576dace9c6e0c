"""Labels that are probably wrong, by confident learning (Northcutt et al. 2021, arXiv:1911.00068).

A model that has not learned from an example is asked what it is. Where it is as sure of another class as it usually is
of that class's own examples, the label is in doubt. How many of a class's labels are wrong is estimated from all
answers together; the least likely so many are the doubtful ones. Answers to rows held out of training serve as well as
those of several models that each left some rows out.

Shapes: N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Doubts:
    """rows: positions of doubtful examples, the most doubtful first. answer: what each probably is. sure: whether the
    answer can be believed, beside the doubt. score: how much probability the given label lacks, 0 to 1."""

    rows: np.ndarray
    answer: np.ndarray
    sure: np.ndarray
    score: np.ndarray


def doubts(probability_NC: np.ndarray, label_N: np.ndarray) -> Doubts:
    """Return the labels in doubt. label: class numbers, -1 unknown (never in doubt)."""
    known = np.flatnonzero(label_N >= 0)
    probability_NC, label_N = probability_NC[known], label_N[known]
    each, num_classes = np.arange(len(known)), probability_NC.shape[1]
    usual_C = _usual(probability_NC, label_N)
    of_label_N = probability_NC[each, label_N]
    likely_NC = np.where(probability_NC >= usual_C, probability_NC, 0)
    answer_N = likely_NC.argmax(1)
    contradicted_N = (likely_NC.max(1, initial=0) > 0) & (answer_N != label_N)
    agreed_N = (likely_NC.max(1, initial=0) > 0) & (answer_N == label_N)
    chosen = []
    for c in range(num_classes):
        own = np.flatnonzero(label_N == c)
        against, agreeing = contradicted_N[own].sum(), agreed_N[own].sum()
        number = round(len(own) * against / max(against + agreeing, 1))
        chosen.append(own[np.argsort(of_label_N[own], kind="stable")[: min(number, len(own))]])
    picked = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    picked = picked[probability_NC[picked].argmax(1) != label_N[picked]]
    picked = picked[np.argsort(of_label_N[picked], kind="stable")]
    return Doubts(known[picked], probability_NC[picked].argmax(1), contradicted_N[picked], 1 - of_label_N[picked])


def _usual(probability_NC: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Of each class the mean probability that its own examples are given (C,); 1 where it has none."""
    count_C = np.bincount(label_N, minlength=probability_NC.shape[1])
    own_N = probability_NC[np.arange(len(label_N)), label_N]
    total_C = np.bincount(label_N, weights=own_N, minlength=probability_NC.shape[1])
    return np.where(count_C > 0, total_C / np.maximum(count_C, 1), 1.0)
