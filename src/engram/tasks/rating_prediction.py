"""Rating prediction: from what users rated, say how each would rate every item.

Shapes: B users, L interactions of the longest, I items, K members of the network, P ratings asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.errors import DataError
from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step, Task
from engram.data import interactions
from engram.data.examples import Examples
from engram.data.histories import HistoryExamples
from engram.data.table import Table
from engram.features.history import History
from engram.floors.biases import Biases
from engram.metrics.mae_of_ratings import MaeOfRatings
from engram.metrics.rmse_of_ratings import RmseOfRatings
from engram.models import build
from engram.models.factorisation import sized
from engram.tasks._recommending import RecommendationOptions, answers, described_by, without

ASKED = 0.2
"""Share of a user's ratings that are predicted from the others, in each step."""


class RatingPrediction(Task):
    """Predict the ratings that users would give to items."""

    does: ClassVar = "says how users would rate items"
    example: ClassVar = "user"
    unseen: ClassVar = "of whose ratings it never saw those that are asked for"
    inputs: ClassVar = {"history": History}
    metrics = (RmseOfRatings(), MaeOfRatings())
    floors: ClassVar = (Biases(),)
    options: ClassVar = RecommendationOptions

    def matches(self, table: Table) -> Evidence:
        """Users, items and ratings, where ratings are asked for: else it is the items that are to be ranked."""
        found = interactions.find(table)
        rating = found.columns.get("rating")
        if not found.evidence or rating is None or rating not in table.targets:
            return Evidence(0.0, "it predicts ratings where their column is the target")
        return Evidence(max(0.95, found.evidence.score), f"{found.evidence.reason}, and {rating} is asked for")

    def arranged(self, table: Table, *, target: Any, inputs: Any, division: str = "", seed: int = 0, **_: Any) -> Table:
        """One row for each user."""
        return interactions.arranged(table, target=target, inputs=inputs, division=division, seed=seed)

    def examples(self, examples: Examples) -> HistoryExamples:
        """Of each user, ratings to learn from, and ratings that are asked for."""
        if not examples.features["history"].explicit:  # type: ignore[attr-defined]
            raise DataError("expected ratings on a scale; there are none, or counts. Rank items: --task recommendation")
        return HistoryExamples(examples.features, examples.stored, examples.splits, by_rating=True)

    def model(self, size: str, features: Any) -> nn.Module:
        """Matrix factorisation, with what the catalogue says of items."""
        history = features.history
        scale = {name: getattr(history, name) for name in ("mean", "spread", "low", "high")}
        return described_by(history, lambda known: build.named("factorisation", **known, **scale, **sized(size)))

    def most_passes(self, rows: int) -> float:
        """A guess for many users; for few, more passes learn nothing more (LOG.md)."""
        return 60

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Squared error, in spreads, of some ratings, by the others."""
        item_BL, rating_BL = batch.history.unbind(-1)
        there_BL = item_BL > 0
        chance_BL = torch.rand_like(item_BL) if model.training else evenly(item_BL)
        asked_BL = there_BL & (chance_BL < ASKED)
        learning = getattr(model, "learning", None)
        if learning is not None:
            off_KP = learning(batch.history, asked_BL) - rating_BL[asked_BL]
        else:  # a network of one's own, which predicts all ratings as users write them
            said_BI = model(batch.history * (there_BL & ~asked_BL)[..., None])
            row, place = asked_BL.nonzero(as_tuple=True)
            off_KP = said_BI[row, item_BL[row, place].long() - 1][None] - rating_BL[asked_BL]
        said_BI = None if model.training else model(batch.history).float().detach()
        return Step(off_KP.square().mean(0).sum(), weight=max(1, off_KP.shape[1]), output=said_BI)

    def predict(self, model: nn.Module, inputs: Batch, options: RecommendationOptions) -> Tensor:
        """Ratings of all items (B, I), those of what was rated far below all others."""
        rating_BI: Tensor = model(inputs.history).float()
        return rating_BI if options.include_seen else without(rating_BI, inputs.history)

    def graph(self, model: nn.Module, inputs: Batch) -> Tensor:
        """What is exported: all ratings."""
        rating_BI: Tensor = model(inputs.history)
        return rating_BI

    def decode(self, output: Tensor, features: Any, options: RecommendationOptions) -> list[dict[str, Any]]:
        """The items with the highest predicted ratings."""
        return answers(output, features.history.catalogue, options)

    @classmethod
    def sample(cls) -> Sample:
        """Made users of two tastes, who rate what is of theirs high and all else low."""
        random = np.random.default_rng(0)
        user, item = np.repeat(np.arange(150), 12), np.concatenate([random.permutation(30)[:12] for _ in range(150)])
        rating = np.where(user % 2 == item % 2, 4.5, 1.5) + random.choice([-0.5, 0.0, 0.5], len(user))
        columns = {"user": user.tolist(), "item": item.tolist(), "rating": rating.tolist()}
        return Sample(data=columns, score=1.0, options={"steps": 120})


def evenly(item_BL: Tensor) -> Tensor:
    """Numbers from 0 to 1 that hang on the item alone, so that outside training nothing is random."""
    return (item_BL * 0.6180339887) % 1
