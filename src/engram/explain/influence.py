"""Influence: what each word of a text does to the answer, by leaving it out.

Nothing is assumed of the network: the delivered module, calibration and blend included, answers for the text without
the word. For a linear floor this is, exactly, the weights of what the text has with the word and has not without it.

Shapes: W words, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.errors import ConfigError
from engram.core.spelling import word_spans
from engram.core.task import Batch
from engram.predict.answering import answer
from engram.predict.predictor import Predictor

MOST_WORDS = 400
"""Words of a text that are left out one by one; of longer texts the first ones."""


@dataclass(frozen=True)
class Influence:
    """A word at text[start:end]. influence: by how much the log-odds of the answer would fall without it."""

    word: str
    start: int
    end: int
    influence: float

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**vars(self), "influence": round(self.influence, 4)}


def influences(predictor: Predictor, text: str, *, module: nn.Module | None = None) -> tuple[str, list[Influence]]:
    """Return (the likeliest label, what each word does to it). module: in place of what is delivered.

    ConfigError where the run does not give labels to texts.
    """
    refuse_other(predictor)
    spans = word_spans(text)[:MOST_WORDS]
    variants = [text, *(_without(text, start, end) for start, end in spans)]
    role = next(iter(predictor.task.inputs))
    # Encoded as they are: what is left may be blank, which would be refused as a text of its own.
    utf8 = [np.frombuffer(variant.encode("utf-8", "replace"), np.uint8) for variant in variants]
    batch = Batch(rows=np.arange(len(variants)), **{role: predictor.features[role].encode({"utf8": utf8})})
    logits_WC, _ = answer(predictor.task, module or predictor.module, batch, precision=predictor.precision)
    odds_WC = log_odds(logits_WC.double(), several=predictor.task.calibration == "sigmoid")
    label = int(odds_WC[0].argmax())
    falls = (odds_WC[0, label] - odds_WC[1:, label]).tolist()
    found = [Influence(text[a:b], a, b, fall) for (a, b), fall in zip(spans, falls, strict=True)]
    return predictor.by_role.label.names[label], found


def refuse_other(predictor: Predictor) -> None:
    """ConfigError for a run whose answers hang on no words."""
    task = predictor.task
    texts = task.inputs and predictor.features[next(iter(task.inputs))].is_text
    if not texts or task.calibration is None:
        raise ConfigError(
            f"expected a run that gives labels to texts, whose words can be left out; {predictor.run} was trained for "
            f"{task.name}. Leave --explain out; the report shows what its answers hang on."
        )


def log_odds(logits_WC: Tensor, *, several: bool) -> Tensor:
    """Return the log-odds of each class against all others."""
    if several or logits_WC.shape[1] == 1:
        return logits_WC
    others = [torch.cat([logits_WC[:, :c], logits_WC[:, c + 1 :]], 1).logsumexp(1) for c in range(logits_WC.shape[1])]
    return logits_WC - torch.stack(others, 1)


def _without(text: str, start: int, end: int) -> str:
    """The text without a word; a space where it stood alone, so that no others grow together."""
    return f"{text[:start].rstrip()} {text[end:].lstrip()}".strip() or " "
