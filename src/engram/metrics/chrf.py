"""chrF: how many character sequences a translation and the reference share, on a scale to 100.

Popović 2015, counted as sacrebleu does: whole corpus, up to six characters, spaces left out, recall twice as
important as precision. Tests hold the two equal.

Shapes: N examples, S weightings, O orders of n-grams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engram.metrics._overlap import overlap, totals
from engram.metrics.metric import Metric

ORDERS, BETA = 6, 2


class Chrf(Metric):
    """Corpus chrF of texts against one reference each; works for every script."""

    signature = "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no"

    def __init__(self, *, text: Callable[[Any], list[str]] = list) -> None:
        """text: reads what answers and targets are given as, such as ids."""
        self.text = text

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "ngrams" (B, O, 3) of the texts `output` and `batch.target`; see `overlap`."""
        found = [
            overlap("".join(ours.split()), "".join(theirs.split()), orders=ORDERS)
            for ours, theirs in zip(self.text(output), self.text(batch.target), strict=True)
        ]
        ngrams_BO3 = np.stack(found)
        ngrams_BO3[..., 1] *= ngrams_BO3[..., 2] > 0  # nothing is asked of an order that the reference has not
        return {"ngrams": ngrams_BO3}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the chrF (S,) of weighted corpora."""
        shared_SO, ours_SO, theirs_SO = np.moveaxis(totals(statistics["ngrams"], weights_SN), -1, 0)
        used_SO = (ours_SO > 0) & (theirs_SO > 0)
        number_S = np.maximum(1, used_SO.sum(1))
        precision_S = np.where(used_SO, shared_SO / np.maximum(ours_SO, 1), 0).sum(1) / number_S
        recall_S = np.where(used_SO, shared_SO / np.maximum(theirs_SO, 1), 0).sum(1) / number_S
        below_S = BETA**2 * precision_S + recall_S
        score_S = 100 * (1 + BETA**2) * precision_S * recall_S / np.where(below_S > 0, below_S, 1)
        return np.where(theirs_SO[:, 0] > 0, score_S, np.nan)
