"""Translation: say in one language what a text says in another.

Shapes: B examples, S source ids, T target ids, V ids of the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.answers import Texts
from engram.core.claim import Claim
from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step, Task, Worth
from engram.core.vocabulary import BEGIN, PADDING
from engram.data.table import Table
from engram.features.feature import Configured
from engram.features.text import Text, fitted_tokenizer
from engram.floors.copy_source import CopySource
from engram.floors.nearest_source import NearestSource
from engram.losses.token_cross_entropy import token_cross_entropy
from engram.metrics.bleu import Bleu
from engram.metrics.chrf import Chrf
from engram.metrics.token_cross_entropy import TokenCrossEntropy
from engram.models import build
from engram.models.encoder_decoder import SIZES
from engram.tasks._packing import begun, side_by_side

PAIRS_FOR_AN_ID = 7
VOCABULARY = (1_000, 16_000)
"""So many pairs for each id of the vocabulary, within these bounds; a choice, not measured."""

LONGEST = 1_024
"""Tokens of a text that are read or written; what comes after is left out."""

LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)?", re.IGNORECASE)
ROLES = ("source", "target")


@dataclass
class TranslationOptions:
    """Options of a translation. longest: 0 for what the length of the source suggests."""

    beam: int = field(default=4, metadata={"help": "translations followed at a time; 1 is fastest"})
    length_penalty: float = field(
        default=1.0, metadata={"help": "above 1 favours longer translations, below 1 shorter ones"}
    )
    longest: int = field(default=0, metadata={"help": "tokens of a translation at most (0: by the source's length)"})


class Translation(Task):
    """Write each text in another language.

    Both languages are cut by one tokenizer, so that names and numbers have the same ids on both sides.
    """

    does: ClassVar = "translates"
    inputs: ClassVar = {"source": Configured(Text, {"tokenizer": "subwords", "longest": LONGEST, "blank": True})}
    target: ClassVar = {"target": Configured(Text, {"tokenizer": "subwords", "longest": LONGEST, "ends": True})}
    metrics = (Bleu(), Chrf())
    floors: ClassVar = (CopySource(), NearestSource())
    options: ClassVar = TranslationOptions
    sizes: ClassVar = {  # a guess, not measured
        "medium": Worth(rows=10_000, passes=8, examples=2_000_000),
        "large": Worth(rows=300_000, passes=5, examples=10_000_000),
    }
    answers: ClassVar = Texts()
    graph_inputs: ClassVar = ROLES
    smoothing: float = 0.1

    @property
    def selection(self) -> TokenCrossEntropy:
        """Decoding takes too long to be done during training."""
        return TokenCrossEntropy(scored=lambda batch: batch.target[:, 1:] != PADDING)

    def matches(self, table: Table) -> Evidence:
        """Two columns of sentences, called by languages or by their roles, or two and nothing else."""
        texts = [name for name, column in table.columns.items() if Text.matches(column).score >= 0.5]
        languages = [name for name in texts if LANGUAGE.fullmatch(name)]
        if len(languages) >= 2 or set(ROLES) <= set(texts):
            return Evidence(0.95, f"texts in {', '.join(languages or ROLES)}")
        if len(texts) == 2 == len(table.columns):
            return Evidence(0.5, f"two columns of texts, {' and '.join(texts)}")
        return Evidence(0.0, "it takes texts in two languages, in columns called by them")

    def fit(self, features: Mapping[str, Any], stored: Mapping[str, Any], rows: np.ndarray) -> None:
        """Fit one tokenizer on the texts of both sides."""
        size = int(np.clip(len(rows) // PAIRS_FOR_AN_ID, *VOCABULARY))
        kind = features["source"].wanted
        tokenizer = fitted_tokenizer([stored[role] for role in ROLES], [rows, rows], kind=kind, size=size)
        for role in ROLES:
            features[role].tokenizer = tokenizer

    def see(self, features: Mapping[str, Any]) -> None:
        """Answers are compared as texts."""
        self.metrics = (Bleu(text=features["target"].decode), Chrf(text=features["target"].decode))

    def model(self, size: str, features: Any) -> nn.Module:
        """An encoder-decoder transformer."""
        return build.named("encoder_decoder", vocabulary=features.target.size, **SIZES[size])

    def most_passes(self, rows: int) -> float:
        """A guess, not measured: by then a network knows few pairs by heart."""
        return 60

    def plain(self) -> Self:
        """Without label smoothing."""
        task = super().plain()
        task.smoothing = 0.0
        return task

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy of every token of the target, given those before it; several pairs in a row in training."""
        source, given, following = batch.source, batch.target[:, :-1], batch.target[:, 1:]
        importance = batch.importance[:, None].expand(following.shape)
        if model.training and getattr(model, "packs", False):
            reading, writing = side_by_side((source != PADDING).sum(1), (following != PADDING).sum(1))
            source, given = begun(reading(source)), begun(writing(given))
            following, importance = writing(following), writing(importance)
        smoothing = self.smoothing if model.training else 0.0
        loss = token_cross_entropy(model(source, given), following, smoothing=smoothing)
        weight = ((following != PADDING) * importance).sum()
        return Step((loss * importance).sum(), weight=weight, output=loss.detach())

    def predict(self, model: nn.Module, inputs: Batch, options: TranslationOptions) -> Tensor:
        """Ids (B, T), closed by END and padded. What is empty stays so."""
        length_B = (inputs.source != PADDING).sum(1) - 1
        longest_B = (2 * length_B + 8).clamp_max(options.longest or LONGEST)
        ids_BT, _ = model.write(  # type: ignore[operator]
            inputs.source,
            beam=options.beam,
            length_penalty=options.length_penalty,
            longest_B=torch.where(length_B > 0, longest_B, 1),
        )
        return ids_BT

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The translation, and how likely other sources make each of its tokens."""
        answer_1T = self.predict(model, example, self.options())
        forced_1T = nn.functional.pad(answer_1T, (1, 0), value=BEGIN)

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            next_BT = forced_1T[:, 1:].expand(len(batch.source), -1)
            logits_BTV = model(batch.source, forced_1T[:, :-1].expand(len(batch.source), -1))
            nats_BT = token_cross_entropy(logits_BTV, next_BT)
            return -nats_BT.sum(1) / (next_BT != PADDING).sum(1).clamp(min=1)

        return Claim.text(scores, features.target.decode(answer_1T)[0])

    def graph(self, model: nn.Module, inputs: Batch) -> Tensor:
        """What is exported: logits (B, T, V) of the token after each of a target; whoever runs it searches in them."""
        logits_BTV: Tensor = model(inputs.source, inputs.target)
        return logits_BTV

    def decode(self, output: Tensor, features: Any, options: TranslationOptions) -> list[dict[str, Any]]:
        """One text each: {"translation"}."""
        return [{"translation": text} for text in features.target.decode(output)]

    @classmethod
    def sample(cls) -> Sample:
        """Made sentences of numbers, written as words of another language in the opposite order."""
        random = np.random.default_rng(0)
        words = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}
        chosen = [random.choice(list(words), size=random.integers(4, 8)) for _ in range(800)]
        source = [" ".join(some) + "." for some in chosen]
        target = [" ".join(words[word] for word in some[::-1]).capitalize() + "." for some in chosen]
        return Sample(data={"source": source, "target": target}, score=60.0, options={"steps": 150})
