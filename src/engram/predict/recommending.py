"""Recommend from a run: for users it knows, for anybody's history, or what is like an item.

The index is exact: every user's scores of all items, some users at a time so that they fit into memory.

Shapes: B users, E interactions of all, I items, K recommended, H interactions of one user that may be the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from engram.core.errors import ConfigError, DataError
from engram.core.task import Batch
from engram.data.histories import AT_ONCE
from engram.features.history import spans
from engram.predict.answering import output_of
from engram.predict.conditions import fulfilling
from engram.predict.similarity import likeness

if TYPE_CHECKING:
    from engram.predict.predictor import Predictor

REASONS, LOOKED_AT = 2, 100
"""Items that are named as the reason for one, out of so many of the last that were taken."""

SAID = 4
"""Digits of scores after the point."""


@dataclass(frozen=True)
class Taken:
    """Histories of some users, one after the other: items from 0 on and ratings (E,), and how many each has (B,).

    person: which of the users each is of whom something is known besides (B,), -1 for none.
    """

    item: np.ndarray
    rating: np.ndarray
    size: np.ndarray
    person: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    def of(self, users: np.ndarray) -> Taken:
        """Some of the users."""
        place = spans((np.cumsum(self.size) - self.size)[users], self.size[users])
        return Taken(self.item[place], self.rating[place], self.size[users], self.person[users])


@dataclass(frozen=True)
class Recommender:
    """A run that ranks items, ready to be asked."""

    predictor: Predictor

    @cached_property
    def feature(self) -> Any:
        """The fitted feature of histories."""
        return self.predictor.by_role.history

    def of_users(self, users: Sequence[Any]) -> Taken:
        """What users have taken; DataError names one that is not known."""
        names = [str(user) for user in users]
        item, rating, size = self.feature.histories_of(names)
        known = item >= 0
        row = np.repeat(np.arange(len(size)), size)[known]
        return Taken(item[known], rating[known], np.bincount(row, minlength=len(size)), self.feature.people_of(names))

    def of_histories(self, histories: Sequence[Any]) -> Taken:
        """Histories as the feature takes them, or texts with commas between the items; an empty one knows nothing."""
        stored = [self._read(history) for history in histories]
        size = np.array([len(one["item"]) for one in stored], np.int64)
        item, rating = (np.concatenate([one[name] for one in stored]) for name in ("item", "rating"))
        return Taken(item, rating, size, np.full(len(size), -1))

    def _read(self, history: Any) -> dict[str, Any]:
        value = self.feature.catalogue.parsed(history) if isinstance(history, str) else history
        if isinstance(value, list | tuple) and not value:
            return {"item": np.zeros(0, np.int32), "rating": np.zeros(0, np.float32)}
        stored: dict[str, Any] = self.feature.store(value)
        return stored

    def scores(self, taken: Taken) -> Iterator[tuple[np.ndarray, Taken, Tensor]]:
        """Yield users (numbers of them), their histories and scores of all items (B, I), those of similar length
        together.
        """
        order = np.argsort(taken.size, kind="stable")
        size = max(1, AT_ONCE // self.feature.size)  # always as many: what is new in shape takes longer
        for users in np.split(order, range(size, len(order), size)):
            some = taken.of(users)
            yield users, some, self._scored(self.feature.encode_flat(some.item, some.rating, some.size, some.person))

    def _scored(self, history_BL2: Tensor) -> Tensor:
        task, batch = self.predictor.task, Batch(rows=np.arange(len(history_BL2)), history=history_BL2)
        score_BI: Tensor = output_of(task.graph, task, self.predictor.module, batch, self.predictor.precision)[0]
        return score_BI

    @torch.inference_mode()
    def best(
        self, taken: Taken, *, k: int, exclude_seen: bool = True, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return items (B, K) and their scores, the best first; item -1 where there are fewer."""
        most = min(k, self.feature.size)
        item_BK, score_BK = np.full((len(taken), most), -1), np.full((len(taken), most), -np.inf, np.float32)
        for users, some, score_BI in self.scores(taken):
            if exclude_seen:
                score_BI[np.repeat(np.arange(len(users)), some.size), some.item] = -torch.inf
            if allowed is not None:
                score_BI[:, torch.from_numpy(~allowed)] = -torch.inf
            found = score_BI.topk(most, dim=1)
            score_BK[users], item_BK[users] = found.values.numpy(), found.indices.numpy()
        return np.where(np.isfinite(score_BK), item_BK, -1), score_BK

    def like(self, item: int, *, k: int, allowed: np.ndarray | None = None) -> list[tuple[int, float]]:
        """Return the items that are most like one, and how much (see `engram.predict.similarity`)."""
        like_I = likeness(self.feature, item)
        like_I[item] = 0.0
        if allowed is not None:
            like_I[~allowed] = 0.0
        best_K = np.argsort(-like_I, kind="stable")[:k]
        return [(int(number), round(float(like_I[number]), SAID)) for number in best_K if like_I[number] > 0]

    @torch.inference_mode()
    def because(self, taken: Taken, item_K: np.ndarray) -> list[list[int]]:
        """For each recommended item, what one user took that speaks most for it: whose absence costs it most."""
        size = int(taken.size[0])
        looked_at = np.arange(max(0, size - LOOKED_AT), size)
        left = [np.delete(np.arange(size), place) for place in looked_at]
        place = np.concatenate([np.arange(size), *left])
        sizes = np.array([size, *([size - 1] * len(left))])
        without = Taken(taken.item[place], taken.rating[place], sizes, taken.person.repeat(len(sizes)))
        score_BK = np.empty((len(sizes), len(item_K)), np.float32)
        for users, _, score_BI in self.scores(without):
            score_BK[users] = score_BI[:, torch.from_numpy(item_K)].numpy()
        cost_HK = score_BK[0] - score_BK[1:]
        order_HK = np.argsort(-cost_HK, axis=0, kind="stable")[:REASONS]
        reasons = [[int(h) for h in order_H if cost_HK[h, place] > 0] for place, order_H in enumerate(order_HK.T)]
        return [[int(taken.item[looked_at[h]]) for h in of_item] for of_item in reasons]

    def named(self, number: int, score: float | None = None) -> dict[str, Any]:
        """An item as answers name it."""
        catalogue = self.feature.catalogue
        said: dict[str, Any] = {"item": catalogue.names[number]}
        if catalogue.titles:
            said["title"] = catalogue.titles[number]
        if score is not None:
            said["score"] = score
        return said


def recommend(
    predictor: Predictor,
    *,
    user: Any = None,
    history: Any = None,
    like: str | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    where: Any = None,
    because: bool | None = None,
) -> Any:
    """Return {"items": [{"item", "title", "score", "because"}]} for one user, or a list of them for several.

    user: a name, or several; beside the items then stands "user". history: items, as a list or as a text with commas
    between them, for somebody the run does not know; or a list of such lists. like: an item; the answer is what is
    like it. where: conditions on the catalogue. because: whether to name reasons; None names them for one user.
    ConfigError or DataError where nobody is named, or what is named does not exist.
    """
    if "history" not in predictor.task.inputs:
        raise ConfigError(
            f"expected a run that recommends; {predictor.run} is one of {predictor.task.name}. Ask it with: "
            f"engram predict {predictor.run} ITEMS"
        )
    if sum(given is not None for given in (user, history, like)) != 1:
        raise ConfigError("expected one of a user, a history and an item to be like; name one of them.")
    if k < 1:
        raise ConfigError(f"expected 1 item or more to recommend; got {k}")
    recommender = Recommender(predictor)
    allowed = fulfilling(recommender.feature.catalogue, where)
    if like is not None:
        item = recommender.feature.catalogue.sure(str(like))
        found = recommender.like(item, k=k, allowed=allowed)
        return {"like": recommender.named(item), "items": [recommender.named(i, s) for i, s in found]}
    several = isinstance(user, list | tuple | np.ndarray) or (isinstance(history, list) and _holds_lists(history))
    asked = list(user if user is not None else history) if several else [user if user is not None else history]
    if several and not asked:
        return []
    taken = recommender.of_users(asked) if user is not None else recommender.of_histories(asked)
    item_BK, score_BK = recommender.best(taken, k=k, exclude_seen=exclude_seen, allowed=allowed)
    score_BK = score_BK.astype(np.float64).round(SAID)  # at once: one by one it takes a tenth of all the time
    answers: list[dict[str, Any]] = [{"user": str(one)} if user is not None else {} for one in asked]
    for number, (answer, items, scores) in enumerate(zip(answers, item_BK.tolist(), score_BK.tolist(), strict=True)):
        chosen = [(i, s) for i, s in zip(items, scores, strict=True) if i >= 0]
        answer["items"] = [recommender.named(i, s) for i, s in chosen]
        own = int(taken.size[number])
        if own and chosen and (because or (because is None and not several)):
            reasons = recommender.because(taken.of(np.array([number])), np.array([i for i, _ in chosen]))
            for said, reason in zip(answer["items"], reasons, strict=True):
                said["because"] = [recommender.named(i) for i in reason]
    return answers if several else answers[0]


def _holds_lists(histories: Sequence[Any]) -> bool:
    """Whether a list is of histories, not of items."""
    if any(not isinstance(one, str | list | tuple | Mapping) for one in histories):
        raise DataError("expected items as texts, or lists of them")
    return bool(histories) and not isinstance(histories[0], str)
