"""BLEU: how many of a translation's word sequences stand in the reference too, on a scale to 100.

Papineni et al. 2002, counted as sacrebleu does (Post 2018, arXiv:1804.08771): whole corpus, words cut as by
mteval-v13a, letters as they are. Tests hold the two equal.

Shapes: N examples, S weightings, O orders of n-grams.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from engram.metrics._overlap import overlap, totals
from engram.metrics.metric import Metric

ORDERS = 4

ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
SIGNS = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),  # a point or comma stays within a number
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


class Bleu(Metric):
    """Corpus BLEU of texts against one reference each.

    Words of scripts without spaces between them are not found by this cut; `Chrf` needs none.
    """

    signature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"

    def __init__(self, *, text: Callable[[Any], list[str]] = list) -> None:
        """text: reads what answers and targets are given as, such as ids."""
        self.text = text

    def update(self, output: Any, batch: Any) -> dict[str, np.ndarray]:
        """Keep "ngrams" (B, O, 3) of the texts `output` and `batch.target`; see `overlap`."""
        pairs = zip(self.text(output), self.text(batch.target), strict=True)
        return {"ngrams": np.stack([overlap(words(ours), words(theirs), orders=ORDERS) for ours, theirs in pairs])}

    def weighted(self, statistics: dict[str, np.ndarray], weights_SN: np.ndarray) -> np.ndarray:
        """Return the BLEU (S,) of weighted corpora."""
        shared_SO, ours_SO, theirs_SO = np.moveaxis(totals(statistics["ngrams"], weights_SN), -1, 0)
        missed_SO = np.cumsum(shared_SO == 0, axis=1)  # an order without any counts a half, the next one a quarter
        smoothed_SO = np.where(shared_SO > 0, shared_SO, 0.5**missed_SO)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision_S = np.log(smoothed_SO / ours_SO).mean(1)
            brevity_S = np.minimum(0.0, 1 - theirs_SO[:, 0] / ours_SO[:, 0])
            bleu_S = 100 * np.exp(precision_S + brevity_S)
        scored_S = shared_SO.any(1) & (ours_SO > 0).all(1)
        return np.where(scored_S, bleu_S, np.where(theirs_SO[:, 0] > 0, 0.0, np.nan))


def words(text: str) -> list[str]:
    """Cut a text as mteval-v13a does."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in ENTITIES.items():
        text = text.replace(entity, sign)
    text = f" {text} "
    for pattern, apart in SIGNS:
        text = pattern.sub(apart, text)
    return text.split()
