"""Recommendation: from what users took, say what each will take next, out of all items.

Shapes: B users, I items, W wanted items of one user, K recommended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from engram.core.answers import Rankings
from engram.core.claim import Claim, log_odds
from engram.core.evidence import Evidence
from engram.core.task import Batch, Sample, Step, Task, Worth
from engram.data import interactions
from engram.data.examples import Examples
from engram.data.histories import HistoryExamples
from engram.data.table import Table
from engram.features.history import History
from engram.floors.ease import Ease
from engram.floors.ease_by_recency import EaseByRecency
from engram.floors.item_neighbours import ItemNeighbours
from engram.floors.popularity import Popularity
from engram.losses.next_item import next_item
from engram.metrics.catalogue_coverage import CatalogueCoverage
from engram.metrics.mrr import Mrr
from engram.metrics.ndcg import Ndcg
from engram.metrics.novelty import Novelty
from engram.metrics.recall import Recall
from engram.models import build
from engram.models.sequential_recommender import sized
from engram.tasks._recommending import RecommendationOptions, answers, described_by, without

AHEAD, PLACES = 10, 16
"""A place of a history learns one of so many items after it; so many places of each history do in one step."""


class Recommendation(Task):
    """Rank all items for each user by how likely they are next."""

    does: ClassVar = "ranks items for each user"
    example: ClassVar = "user"
    unseen: ClassVar = "of whom it never saw what they took last"
    inputs: ClassVar = {"history": History}
    metrics: tuple[Any, ...] = (Ndcg(10), Recall(20), Mrr(), CatalogueCoverage(10), Novelty(10))
    floors: ClassVar = (Popularity(), ItemNeighbours(), Ease(), EaseByRecency())
    options: ClassVar = RecommendationOptions
    answers: ClassVar = Rankings()
    sizes: ClassVar = {  # a guess, not measured
        "medium": Worth(rows=20_000, passes=20, examples=2_000_000),
        "large": Worth(rows=500_000, passes=10, examples=20_000_000),
    }

    def matches(self, table: Table) -> Evidence:
        """Columns of users and of items, both of which repeat, and no other column that is asked for."""
        if table.targets:
            return Evidence(0.0, f"{', '.join(table.targets)} is to be predicted, not what users take")
        return interactions.find(table).evidence

    def arranged(self, table: Table, *, target: Any, inputs: Any, division: str = "", seed: int = 0, **_: Any) -> Table:
        """One row for each user."""
        return interactions.arranged(table, target=target, inputs=inputs, division=division, seed=seed)

    def examples(self, examples: Examples) -> HistoryExamples:
        """Of each user, what came first to learn from, and what came last to be asked for."""
        return HistoryExamples(examples.features, examples.stored, examples.splits)

    def see(self, features: Mapping[str, Any]) -> None:
        """How novel a recommendation is depends on how popular items are."""
        popularity = features["history"].popularity
        self.metrics = (*type(self).metrics[:-1], Novelty(10, popularity))

    def model(self, size: str, features: Any) -> nn.Module:
        """A transformer over items, which knows of them what the catalogue says."""
        num_about = len(features.history.people.marks[2])

        def make(known: dict[str, int]) -> nn.Module:
            return build.named("sequential_recommender", **known, num_about=num_about, **sized(size))

        return described_by(features.history, make)

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Cross entropy of what came next, at some places of each history; a network of one's own, at the end alone."""
        learning = getattr(model, "learning", None)
        if learning is None:
            score_BI, next_B = model(batch.history), batch.wanted[:, 0]
            loss_P = nn.functional.cross_entropy(
                score_BI, (next_B - 1).clamp(min=-1), ignore_index=-1, reduction="none"
            )
            weight: Any = (next_B > 0).sum()
        else:
            state_PD, next_P, vector_ID = learning(batch.history, batch.wanted[:, 0], ahead=AHEAD, places=PLACES)
            loss_P, weight = next_item(state_PD, next_P, vector_ID, model.bias), len(next_P)  # type: ignore[arg-type]
            score_BI = None
        if not model.training:
            score_BI = self.predict(model, batch, self.options()).detach()
        return Step(loss_P.sum(), weight=weight, output=score_BI)

    def predict(self, model: nn.Module, inputs: Batch, options: RecommendationOptions) -> Tensor:
        """Scores of all items (B, I), those of what was taken far below all others."""
        score_BI: Tensor = model(inputs.history).float()
        return score_BI if options.include_seen else without(score_BI, inputs.history)

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The item ranked first, against all others; what the user had taken stays out of it."""
        taken_BL2 = example.history

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            score_BI = without(model(batch.history).float(), taken_BL2.expand(len(batch.history), -1, -1))
            return log_odds(score_BI.double())

        chosen = int(scores(model, example)[0].argmax())
        return Claim(scores, chosen, features.history.catalogue.title)

    def graph(self, model: nn.Module, inputs: Batch) -> Tensor:
        """What is exported: the scores as they are."""
        score_BI: Tensor = model(inputs.history)
        return score_BI

    def decode(self, output: Tensor, features: Any, options: RecommendationOptions) -> list[dict[str, Any]]:
        """The items ranked first: {"items": [{"item", "title", "score"}]}."""
        return answers(output, features.history.catalogue, options)

    @classmethod
    def sample(cls) -> Sample:
        """Made users of three tastes, who go through the items of theirs in an order."""
        random = np.random.default_rng(0)
        user, item = [], []
        for number in range(120):
            taste, start = number % 3, int(random.integers(0, 20))
            for step in range(12):
                user.append(f"u{number}")
                item.append(f"{'abc'[taste]}{(start + step) % 20}")
        return Sample(
            data={"user": user, "item": item, "time": list(range(len(user)))}, score=0.5, options={"steps": 80}
        )
