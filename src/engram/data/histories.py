"""Histories: interactions by user, and the examples made of them.

A user's interactions are divided: the first are learned from, those after them choose between networks, the last are
what is asked for. So one user is up to three examples, which differ in what is known and what is wanted.

Shapes: N users, E interactions of all, B examples, W wanted items of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engram.core import events
from engram.core.errors import DataError
from engram.data.examples import Examples, digests
from engram.data.table import Lazy
from engram.features._catalogue import Catalogue
from engram.features.history import spans

SIDES = {"train": 0, "val": 1, "test": 2}

MOST_SCORES = {"val": 10**8, "test": 2 * 10**8}
"""Users times items that are scored; of more users, an even sample is asked about all items."""

AT_ONCE = 2_500_000
"""Scores that are computed together: few enough to stay near the processor while they are blended and searched, and for
their memory to be used again (LOG.md, 2026-11-26)."""

FEWEST = {"test": 3, "val": 5}
"""Interactions from which on a user is asked for some, and chosen by some; of fewer, all are learned from."""


@dataclass
class Histories(Lazy):
    """Users' interactions one after the other, the earliest of each first; see `features.history.ARRAYS`.

    users: by name. begins: where each user's begin (N + 1,). item: numbers in the catalogue. people: users of whom
    something is known besides.
    """

    users: list[str]
    begins: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray
    side: np.ndarray
    catalogue: Catalogue
    people: Catalogue = field(default_factory=lambda: Catalogue([]))
    root: str = ""

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, row: Any) -> Any:
        own = slice(int(self.begins[row]), int(self.begins[row + 1]))
        return {
            "user": self.users[row],
            "items": [self.catalogue.names[number] for number in self.item[own].tolist()],
            "ratings": self.rating[own].tolist(),
            "times": self.time[own].tolist(),
            "sides": self.side[own].tolist(),
        }

    def where(self, row: int) -> str:
        """The user."""
        return f"user {self.users[row]}"

    def take(self, rows: np.ndarray) -> Histories:
        """Some users' histories."""
        sizes = np.diff(self.begins)[rows]
        chosen = spans(self.begins[rows], sizes)
        return Histories(
            [self.users[row] for row in rows.tolist()],
            np.concatenate([[0], np.cumsum(sizes)]),
            self.item[chosen],
            self.rating[chosen],
            self.time[chosen],
            self.side[chosen],
            self.catalogue,
            self.people,
            self.root,
        )


def divided_by_time(begins: np.ndarray, *, val: float, test: float) -> np.ndarray:
    """Sides (E,) of interactions in order: the last `test` of each user's, and the `val` before them."""
    size_N = np.diff(begins)
    test_N = np.where(size_N >= FEWEST["test"], np.maximum(1, np.round(size_N * test)), 0)
    val_N = np.where(size_N >= FEWEST["val"], np.maximum(1, np.round(size_N * val)), 0)
    left_E = np.repeat(begins[1:], size_N) - np.arange(int(begins[-1]))  # interactions from here to the end
    test_E, val_E = np.repeat(test_N, size_N), np.repeat(val_N, size_N)
    return np.select([left_E <= test_E, left_E <= test_E + val_E], [SIDES["test"], SIDES["val"]], 0).astype(np.int8)


def divided_at_random(number: int, *, val: float, test: float, seed: int) -> np.ndarray:
    """Sides (E,) of interactions by chance, whoever's they are."""
    chance_E = np.random.default_rng(seed).random(number)
    return np.select([chance_E < test, chance_E < test + val], [SIDES["test"], SIDES["val"]], 0).astype(np.int8)


@dataclass
class HistoryExamples(Examples):
    """What is known of some users (`batch.history`), and what they took next (`batch.wanted` (B, W), numbers from 1
    on, 0 for none, -1 for an item that is not in the catalogue); with ratings `batch.rating` (B, W) beside them.

    To learn from, all but the last interaction of the training side is known, and that one is wanted. role: of the
    histories. by_rating: all of the training side is known, and its own ratings are wanted.
    """

    role: str = "history"
    by_rating: bool = False
    _row: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    _known: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        self._item, self._rating, self._side = (
            self.stored[self.role].arrays[n].flat for n in ("item", "rating", "side")
        )
        self._begins = np.concatenate([[0], np.cumsum(self.stored[self.role].arrays["item"].shapes[:, 0])])
        feature: Any = self.features[self.role]
        self._person = feature.people_of(self.stored[self.role].arrays["user"])
        if len(self._row):
            return  # made already: a copy with other splits
        rows, splits, count = [], {}, 0
        for name, users in self.splits.items():
            asked = users[
                self._number(users, lambda side, name=name: side == SIDES[name]) >= (2 if name == "train" else 1)
            ]
            if name != "train":
                asked = asked[self._number(asked, lambda side, name=name: side < SIDES[name]) > 0]
            asked = self._sampled(asked, name)
            splits[name] = np.arange(count, count + len(asked))
            rows.append(asked)
            count += len(asked)
        if "train" in splits and not (len(splits["train"]) and len(splits.get("val", ()))):
            raise DataError(
                f"expected users with {FEWEST['val']} interactions or more, some to learn from and some to choose by; "
                f"of {len(self._begins) - 1:,} users none has. Add interactions, or name other columns."
            )
        self._known = np.concatenate([np.full(len(r), SIDES[name]) for name, r in zip(splits, rows, strict=True)])
        self._row, self.splits = np.concatenate(rows), {name: found for name, found in splits.items() if len(found)}

    def _sampled(self, users: np.ndarray, split: str) -> np.ndarray:
        """As many users as scoring has time for, evenly."""
        feature: Any = self.features[self.role]
        most = max(1000, MOST_SCORES.get(split, 10**18) // max(1, feature.size))
        if len(users) <= most:
            return users
        events.note(f"Of {len(users):,} users to score, {most:,} are asked about all {feature.size:,} items ({split}).")
        return users[np.linspace(0, len(users) - 1, most).astype(np.int64)]

    def _number(self, users: np.ndarray, chosen: Any) -> np.ndarray:
        """How many interactions of each user are of chosen sides."""
        total = np.concatenate([[0], np.cumsum(chosen(self._side))])
        return total[self._begins[users + 1]] - total[self._begins[users]]

    def users(self, rows: np.ndarray) -> np.ndarray:
        """The users of some examples, as rows of the table."""
        return self._row[rows]

    def identity(self, rows: np.ndarray) -> np.ndarray:
        """The interactions of the user, and which of them are asked for."""
        return digests(self.stored[self.role].digest[self._row[rows]], self._known[rows])

    def learned_and_chosen_by(self) -> np.ndarray:
        """Of each user all that is known before the test, once."""
        train, val = self.splits["train"], self.splits["val"]
        return np.concatenate([train[~np.isin(self._row[train], self._row[val])], val])

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """How many interactions are known."""
        users = self._row[rows]
        return self._begins[users + 1] - self._begins[users]

    @property
    def at_once(self) -> int:
        """As many users as have room with scores of all items."""
        feature: Any = self.features[self.role]
        return max(1, AT_ONCE // max(1, feature.size))

    def num_values(self) -> int:
        """Of a usual history."""
        return 200

    def made(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray) -> dict[str, Any]:
        """What is known and what is wanted of some examples."""
        users, asked = self._row[rows], self._known[rows]
        size = self._begins[users + 1] - self._begins[users]
        place, example = spans(self._begins[users], size), np.repeat(np.arange(len(rows)), size)
        side, target = self._side[place], asked[example]
        last = np.zeros(len(place), bool)
        learned = np.flatnonzero((side == 0) & (target == 0))
        if not self.by_rating:
            last[learned[np.append(np.diff(example[learned]) > 0, True)[: len(learned)]]] = True
        known = np.where(target == 0, (side == 0) & ~last, side < target)
        wanted = np.where(target == 0, (side == 0) if self.by_rating else last, side == target)
        feature: Any = self.features[self.role]
        return {
            self.role: feature.encode_flat(
                self._item[place[known]],
                self._rating[place[known]],
                _counts(example[known], len(rows)),
                self._person[users],
            ),
            **self._wanted(place[wanted], _counts(example[wanted], len(rows))),
        }

    def _wanted(self, place: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
        import torch

        row, column = np.repeat(np.arange(len(sizes)), sizes), spans(np.zeros(len(sizes), np.int64), sizes)
        wanted_BW = np.zeros((len(sizes), max(1, int(sizes.max(initial=0)))), np.int64)
        item = self._item[place].astype(np.int64)
        wanted_BW[row, column] = np.where(item < 0, -1, item + 1)
        rating_BW = np.full(wanted_BW.shape, np.nan, np.float32)
        rating_BW[row, column] = self._rating[place]
        return {"wanted": torch.from_numpy(wanted_BW), "rating": torch.from_numpy(rating_BW)}


def _counts(example: np.ndarray, number: int) -> np.ndarray:
    return np.bincount(example, minlength=number)
