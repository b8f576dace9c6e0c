"""A question: why does a run answer one input as it does? Whoever asks takes parts of the input away and looks again.

Nothing is assumed of the network: the delivered module, calibration and blend included, answers for what is left.

Shapes: K variants, P parts, A answers that are possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.claim import Claim
from engram.core.errors import ConfigError
from engram.core.parts import Parts
from engram.core.task import Batch
from engram.predict.answering import moved
from engram.predict.predictor import Predictor

MOST_VALUES = 4_000_000
"""Numbers that variants may take together."""

MOST_VARIANTS = 256


@dataclass
class Question:
    """One input taken apart, and what was answered. role: of the input whose parts are taken away; the others stay."""

    predictor: Predictor
    module: nn.Module
    batch: Batch
    role: str
    parts: Parts
    claim: Claim

    @property
    def answer(self) -> str:
        """What was answered."""
        return self.claim.name(self.claim.chosen)

    @property
    def told(self) -> str:
        """The same within a sentence: a text in quotes."""
        return f"“{self.answer}”" if self.claim.each else self.answer

    def of(self, encoded: Tensor) -> Batch:
        """The same input with other values of the role, one after the other."""
        number = len(encoded)
        others = {
            name: value.expand(number, *value.shape[1:])
            for name, value in vars(self.batch).items()
            if name not in ("rows", self.role)
        }
        return Batch(rows=np.arange(number), **others, **{self.role: encoded})

    @torch.inference_mode()
    def scores(self, gone_KP: np.ndarray) -> Tensor:
        """Return the scores (K, A) of all answers where parts are gone; see `Claim`."""
        found = []
        size = int(np.clip(MOST_VALUES // max(1, getattr(self.batch, self.role).numel()), 1, MOST_VARIANTS))
        for start in range(0, len(gone_KP), size):
            batch = moved(self.of(self.parts.encode(gone_KP[start : start + size])), self.module)
            found.append(self.claim.scores(self.module, batch).double().cpu())
        return torch.cat(found)

    def support(self, gone_KP: np.ndarray) -> np.ndarray:
        """Return how much speaks for the answer (K,) where parts are gone: log-odds, or a number."""
        return np.asarray(self.scores(gone_KP)[:, self.claim.chosen])

    @staticmethod
    def probability(support: np.ndarray) -> np.ndarray:
        """Log-odds as probabilities."""
        return np.asarray(1 / (1 + np.exp(-np.clip(support, -50, 50))))


def ask(predictor: Predictor, item: Any, *, module: nn.Module | None = None) -> Question | None:
    """Take an item apart; None where it has no parts, or the task's answers are not to be explained.

    module: in place of what is delivered. DataError for an item that cannot be read.
    """
    module = predictor.module if module is None else module
    stored = predictor.stored(item)
    for role, gathered in predictor.gather([stored], predictor.task.inputs).items():
        parts = predictor.features[role].parts(gathered)
        if parts is not None and len(parts.names):
            batch = moved(predictor.encode([item]), module)
            with torch.no_grad():  # not in inference mode: what a claim keeps may be differentiated with later
                claim = predictor.task.claim(module, batch, predictor.by_role)
            return None if claim is None else Question(predictor, module, batch, role, parts, claim)
    return None


def asked(predictor: Predictor, item: Any, *, module: nn.Module | None = None) -> Question:
    """The same; ConfigError in place of None."""
    question = ask(predictor, item, module=module)
    if question is None:
        raise ConfigError(
            f"expected a run of whose answers it can be said what they hang on, and an input that has parts; "
            f"{predictor.run} was trained for {predictor.task.name}, and {str(item)[:60]!r} cannot be taken apart for "
            "it. engram explain RUN, without an input, shows what the run learned."
        )
    return question
