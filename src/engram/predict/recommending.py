"""Recommend from a run: for users it knows, for anybody's history, or what is like an item.

The index is exact: every user's scores of all items, some users at a time so that they fit into memory.

Shapes: B users, E interactions of all, I items, K recommended, H interactions of one user that may be the reason.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from engram.core.errors import ConfigError, DataError, nearest, unknown
from engram.core.task import Batch
from engram.predict.answering import output_of

if TYPE_CHECKING:
    from engram.predict.predictor import Predictor

AT_ONCE = 20_000_000
"""Scores that are held in memory together."""

REASONS, LOOKED_AT = 2, 100
"""Items that are named as the reason for one, out of so many of the last that were taken."""

CONDITION = re.compile(r"\s*(.+?)\s*(!=|>=|<=|=|>|<)\s*(.*?)\s*")
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """Histories of some users, one after the other: items from 0 on and ratings (E,), and how many each has (B,)."""

    item: np.ndarray
    rating: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    def of(self, users: np.ndarray) -> Taken:
        """Some of the users."""
        begin = np.cumsum(self.size) - self.size
        place = np.concatenate([np.arange(begin[u], begin[u] + self.size[u]) for u in users] or [np.zeros(0, np.int64)])
        return Taken(self.item[place], self.rating[place], self.size[users])


@dataclass(frozen=True)
class Recommender:
    """A run that ranks items, ready to be asked."""

    predictor: Predictor

    @property
    def feature(self) -> Any:
        """The fitted feature of histories."""
        return self.predictor.by_role.history

    def of_users(self, users: Sequence[Any]) -> Taken:
        """What users have taken; DataError names one that is not known."""
        found = [self.feature.history_of(str(user)) for user in users]
        item, rating = (np.concatenate([own[name] for own in found]) for name in ("item", "rating"))
        known, size = item >= 0, np.array([len(own["item"]) for own in found])
        row = np.repeat(np.arange(len(found)), size)[known]
        return Taken(item[known], rating[known], np.bincount(row, minlength=len(found)))

    def of_histories(self, histories: Sequence[Any]) -> Taken:
        """Histories as the feature takes them, or texts with commas between the items; an empty one knows nothing."""
        stored = [self._read(history) for history in histories]
        size = np.array([len(one["item"]) for one in stored], np.int64)
        item, rating = (np.concatenate([one[name] for one in stored]) for name in ("item", "rating"))
        return Taken(item, rating, size)

    def _read(self, history: Any) -> dict[str, Any]:
        value = self.feature.catalogue.parsed(history) if isinstance(history, str) else history
        if isinstance(value, list | tuple) and not value:
            return {"item": np.zeros(0, np.int32), "rating": np.zeros(0, np.float32)}
        stored: dict[str, Any] = self.feature.store(value)
        return stored

    def scores(self, taken: Taken) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield users (numbers of them) and their scores of all items (B, I), those of similar histories together."""
        order = np.argsort(taken.size, kind="stable")
        for users in np.array_split(order, max(1, -(-len(order) * self.feature.size // AT_ONCE))):
            some = taken.of(users)
            yield users, self._scored(self.feature.encode_flat(some.item, some.rating, some.size))

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
        for users, score_BI in self.scores(taken):
            if exclude_seen:
                some = taken.of(users)
                score_BI[np.repeat(np.arange(len(users)), some.size), some.item] = -torch.inf
            if allowed is not None:
                score_BI[:, torch.from_numpy(~allowed)] = -torch.inf
            found = score_BI.topk(most, dim=1)
            score_BK[users], item_BK[users] = found.values.numpy(), found.indices.numpy()
        return np.where(np.isfinite(score_BK), item_BK, -1), score_BK

    @torch.inference_mode()
    def like(self, item: int, *, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return items (K,) for which having taken one speaks most, and how much more than having taken nothing."""
        nothing_I, taken_I = self._scored(
            self.feature.encode_flat(np.array([item]), np.array([np.nan], np.float32), np.array([0, 1]))
        )
        lift_I = taken_I - nothing_I
        lift_I[item] = -torch.inf
        if allowed is not None:
            lift_I[torch.from_numpy(~allowed)] = -torch.inf
        found = lift_I.topk(min(k, len(lift_I)))
        return found.indices.numpy(), found.values.numpy()

    @torch.inference_mode()
    def because(self, taken: Taken, item_K: np.ndarray) -> list[list[int]]:
        """For each recommended item, what one user took that speaks most for it: whose absence costs it most."""
        size = int(taken.size[0])
        looked_at = np.arange(max(0, size - LOOKED_AT), size)
        left = [np.delete(np.arange(size), place) for place in looked_at]
        place = np.concatenate([np.arange(size), *left])
        sizes = np.array([size, *([size - 1] * len(left))])
        without = Taken(taken.item[place], taken.rating[place], sizes)
        score_BK = np.empty((len(sizes), len(item_K)), np.float32)
        for users, score_BI in self.scores(without):
            score_BK[users] = score_BI[:, torch.from_numpy(item_K)].numpy()
        cost_HK = score_BK[0] - score_BK[1:]
        order_HK = np.argsort(-cost_HK, axis=0, kind="stable")[:REASONS]
        reasons = [[int(h) for h in order_H if cost_HK[h, place] > 0] for place, order_H in enumerate(order_HK.T)]
        return [[int(taken.item[looked_at[h]]) for h in of_item] for of_item in reasons]

    def allowed(self, where: Any) -> np.ndarray | None:
        """Which items (I,) fulfil all conditions, such as "genres=Comedy" or "year>=1990"; None without conditions."""
        given = [where] if isinstance(where, str) else where or []
        if isinstance(given, Mapping):
            given = [f"{column}={value}" for column, value in given.items()]
        kept = [self._fulfilled(condition) for condition in given]
        return np.logical_and.reduce(kept) if kept else None

    def _fulfilled(self, condition: str) -> np.ndarray:
        catalogue = self.feature.catalogue
        if (found := CONDITION.fullmatch(condition)) is None:
            raise ConfigError(f"expected a condition such as genres=Comedy or year>=1990; got {condition!r}")
        column, sign, wanted = found.groups()
        if column not in catalogue.columns:
            known = list(catalogue.columns)
            if not known:
                raise ConfigError(
                    "expected a catalogue with columns for conditions; this run's knows items by name alone"
                )
            raise unknown("column of the catalogue", column, known)
        values = catalogue.columns[column]
        if sign in COMPARED:
            number = _number(wanted, condition)
            kept = [any(COMPARED[sign](each, number) for each in _numbers(of_item)) for of_item in values]
        else:
            kept = [wanted.lower() in [each.lower() for each in of_item] for of_item in values]
            if not any(kept):
                known = sorted({each for of_item in values for each in of_item})
                close = nearest(wanted, known)
                said = f"did you mean {close!r}?" if close else f"there are {', '.join(known[:8])}"
                raise ConfigError(f"expected a value that items have in {column}; none has {wanted!r}: {said}")
        return np.array(kept) != (sign == "!=")

    def named(self, number: int, score: float | None = None) -> dict[str, Any]:
        """An item as answers name it."""
        catalogue = self.feature.catalogue
        said: dict[str, Any] = {"item": catalogue.names[number]}
        said |= {"title": catalogue.titles[number]} if catalogue.titles else {}
        return said if score is None else {**said, "score": round(float(score), 4)}


def _number(text: str, condition: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"expected a number to compare with in {condition!r}; got {text!r}") from None


def _numbers(values: Sequence[str]) -> list[float]:
    return [float(value) for value in values if re.fullmatch(r"-?\d+(\.\d+)?", value)]


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
    allowed = recommender.allowed(where)
    if like is not None:
        item = recommender.feature.catalogue.sure(str(like))
        found = zip(*recommender.like(item, k=k, allowed=allowed), strict=True)
        return {"like": recommender.named(item), "items": [recommender.named(int(i), s) for i, s in found]}
    several = isinstance(user, list | tuple | np.ndarray) or (isinstance(history, list) and _holds_lists(history))
    asked = list(user if user is not None else history) if several else [user if user is not None else history]
    if several and not asked:
        return []
    taken = recommender.of_users(asked) if user is not None else recommender.of_histories(asked)
    item_BK, score_BK = recommender.best(taken, k=k, exclude_seen=exclude_seen, allowed=allowed)
    answers: list[dict[str, Any]] = [{"user": str(one)} if user is not None else {} for one in asked]
    for number, answer in enumerate(answers):
        chosen = [(int(i), s) for i, s in zip(item_BK[number], score_BK[number], strict=True) if i >= 0]
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
