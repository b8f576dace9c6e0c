"""History: what one user took of a catalogue of items, the earliest first, perhaps with ratings.

The catalogue is known before anything is fitted; how popular items are, and how ratings spread, is learned from the
interactions that are for training. The fitted feature keeps all histories, so that users are answered for by name.

Shapes: B users, L interactions of the longest, E interactions of all, N users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core import events
from engram.core.errors import DataError, RunError
from engram.core.evidence import Evidence
from engram.core.parts import Parts
from engram.features._catalogue import Catalogue, packed, unpacked
from engram.features.feature import Arrays, Entry, Feature, Whole

if TYPE_CHECKING:
    from torch import Tensor

ARRAYS = {"item": np.int32, "rating": np.float32, "time": np.float64, "side": np.int8}
"""What is stored of each interaction: the item's number in the catalogue (-1 for one that is not in it), its rating and
time (NaN where unknown), and whether it is to be learned from (0), to choose by (1) or to be asked for (2)."""

MOST_OFFERED = 2_000
"""Items that a page offers to choose from, the most popular ones; others are named."""


PEOPLE = "people."
"""Before the names of arrays of the catalogue of users."""

MOST_PARTS = 100
"""Interactions that are taken away one by one: the latest."""


class History(Feature):
    """A user's interactions. A value is a list of items, by name or title, a text with commas between them, or a
    mapping with "items" and perhaps "ratings", "times" and "user".
    """

    thing = "history"
    takes = "table"

    def __init__(self) -> None:
        self.catalogue, self.people = Catalogue([]), Catalogue([])
        self.users: dict[str, int] = {}
        self.item, self.rating = np.zeros(0, np.int32), np.zeros(0, np.float32)
        self.begins = np.zeros(1, np.int64)
        self.popularity = np.zeros(0, np.int64)
        self.explicit, self.mean, self.spread, self.low, self.high = False, 0.0, 1.0, 0.0, 0.0

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Histories are made of tables of interactions, which says what they are."""
        if column.kind == "history":
            return Evidence(0.95, "histories of interactions")
        return Evidence(0.0, f"its values are of kind {column.kind}")

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> History:
        """Take over the catalogue, or list all items that there are."""
        feature = cls(**wishes)
        known = getattr(column.values, "catalogue", None)
        feature.catalogue = known or Catalogue(sorted({i for value in column.values for i in _items(value)}))
        feature.people = getattr(column.values, "people", feature.people)
        return feature

    @property
    def size(self) -> int:
        """The number of items."""
        return len(self.catalogue)

    def holds(self, item: Any) -> bool:
        """A mapping with items, or a text that names no file."""
        if isinstance(item, Mapping):
            return "items" in item and not isinstance(item.get("user"), list)
        return isinstance(item, str) and not Path(item).exists()

    def store(self, value: Any) -> dict[str, Any]:
        """Return "item", "rating", "time" and "side" (n,), and "user". DataError names an item that is unknown."""
        items = _items(self.catalogue.parsed(value) if isinstance(value, str) else value)
        if not items:
            raise DataError("expected a list of items; got none")
        more: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        # what stands in a table may be new; what somebody names may be misspelt
        found = [self.catalogue.number.get(i, -1) if "sides" in more else self.catalogue.sure(i) for i in items]
        lists: dict[str, Any] = {"item": found}
        defaults = {"rating": np.nan, "time": np.nan, "side": 0}
        for name, default in defaults.items():
            given = more.get(f"{name}s")
            lists[name] = [default if v is None else v for v in given] if given is not None else [default] * len(items)
        if len({len(each) for each in lists.values()}) > 1:
            raise DataError(
                f"expected a rating for each item; got {len(items)} items and {len(lists['rating'])} ratings"
            )
        return {name: np.asarray(lists[name], kind) for name, kind in ARRAYS.items()} | {"user": more.get("user") or ""}

    def store_all(self, column: Any) -> Whole | None:
        """All histories of a table at once, their items numbered as in this feature's catalogue."""
        histories = column.values
        if not hasattr(histories, "begins"):
            return None
        item = histories.item
        if histories.catalogue is not self.catalogue:
            places = [self.catalogue.number.get(name, -1) for name in histories.catalogue.names]
            item = np.array(places, np.int32)[item]
            if strange := int((item < 0).sum()):
                events.note(f"{strange:,} of {len(item):,} interactions are with items that the run does not know.")
        arrays = {"item": item, "rating": histories.rating, "time": histories.time, "side": histories.side}
        sizes = np.diff(histories.begins)
        stored = {name: (arrays[name], sizes) for name in ARRAYS} | {"user": histories.users}
        return Whole(stored, _digests(item, histories.begins))

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Count items and measure ratings among interactions to learn from; keep the histories themselves."""
        flat = {name: _flat(stored.arrays[name]) for name in ("item", "rating", "side")}
        sizes = flat["item"][1]
        self.users = {user: row for row, user in enumerate(stored.arrays["user"]) if user}
        self.item, self.rating = (flat[name][0] for name in ("item", "rating"))
        self.begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        learned = (flat["side"][0] == 0) & (self.item >= 0)
        self.popularity = np.bincount(self.item[learned], minlength=self.size)
        rated = self.rating[learned & np.isfinite(self.rating)]
        self.explicit = bool(len(rated))
        if self.explicit:
            self.mean, self.spread = float(rated.mean(dtype=np.float64)), float(max(rated.std(dtype=np.float64), 1e-3))
            self.low, self.high = float(rated.min()), float(rated.max())

    def histories_of(self, users: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What users have taken: items (E,) and ratings (E,), one user after the other, and how many each has (B,).

        Users that only the table of users knows have taken nothing. DataError where there is no such user.
        """
        unknown = [user for user in users if user not in self.users and user not in self.people.number]
        if unknown:
            shown = ", ".join(list(self.users)[:5])
            raise DataError(
                f"expected one of {len(self.users):,} users, such as {shown}; there is none called {unknown[0]!r}"
            )
        row_B = np.array([self.users.get(user, -1) for user in users], np.int64)
        size_B = np.where(row_B < 0, 0, self.begins[row_B + 1] - self.begins[row_B])
        place_E = spans(self.begins[row_B], size_B)
        return self.item[place_E], self.rating[place_E], size_B

    def people_of(self, users: Sequence[str]) -> np.ndarray:
        """The numbers (B,) of users among those of whom something is known besides; -1 for others."""
        return np.array([self.people.number.get(user, -1) for user in users], np.int64)

    def lengths(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """How many interactions users have."""
        found: np.ndarray = stored.sizes("item", rows)
        return found

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return (B, L, 2), float32: the item's number from 1 on, 0 for none; its rating in spreads from the mean.

        What is known of the user besides stands behind: the number of each mark (see `Catalogue.marks`), below 0.
        """
        items, ratings = (list(gathered[name]) for name in ("item", "rating"))
        sizes = np.array([len(of_user) for of_user in items], np.int64)
        flat = np.concatenate([*items, np.zeros(0, np.int32)]), np.concatenate([*ratings, np.zeros(0, np.float32)])
        person = self.people_of(gathered["user"]) if "user" in gathered else None
        return self.encode_flat(*flat, sizes, person)

    def encode_flat(
        self, item: np.ndarray, rating: np.ndarray, sizes: np.ndarray, person: np.ndarray | None = None
    ) -> Tensor:
        """The same of interactions (E,) one after the other; sizes: how many of them each user has. What is not in the
        catalogue is left out. person: see `people_of`.
        """
        import torch

        if (item < 0).any():
            user = np.repeat(np.arange(len(sizes)), sizes)[item >= 0]
            item, rating, sizes = item[item >= 0], rating[item >= 0], np.bincount(user, minlength=len(sizes))
        mark, number = self._marks_of(person, len(sizes))
        history_BL2 = np.zeros((len(sizes), max(1, int((sizes + number).max(initial=0))), 2), np.float32)
        row, place = np.repeat(np.arange(len(sizes)), sizes), spans(np.zeros(len(sizes), np.int64), sizes)
        history_BL2[row, place, 0] = item + 1
        known = np.isfinite(rating) if self.explicit else np.zeros(len(rating), bool)
        history_BL2[row[known], place[known], 1] = (rating[known] - self.mean) / self.spread
        history_BL2[np.repeat(np.arange(len(sizes)), number), spans(sizes, number), 0] = -1 - mark
        return torch.from_numpy(history_BL2)

    def _marks_of(self, person: np.ndarray | None, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """The marks of some people one after the other, and how many each has (B,)."""
        if person is None or not len(self.people):
            return np.zeros(0, np.int64), np.zeros(rows, np.int64)
        marks, begins, _ = self.people.marks
        number = np.where(person < 0, 0, begins[person + 1] - begins[person])
        return marks[spans(begins[person], number)], number

    def decode(self, encoded: Tensor) -> list[dict[str, Any]]:
        """Return items, and ratings where there are any."""
        values = []
        for history_L2 in encoded.cpu().numpy():
            taken = history_L2[history_L2[:, 0] > 0]
            value: dict[str, Any] = {"items": [self.catalogue.names[int(number) - 1] for number in taken[:, 0]]}
            if self.explicit:
                value["ratings"] = [round(float(r) * self.spread + self.mean, 3) for r in taken[:, 1]]
            values.append(value)
        return values

    def remembered(self, number: int) -> list[Any]:
        """Histories of some users, evenly chosen."""
        rows = np.unique(np.linspace(0, len(self.begins) - 2, number).astype(int)).tolist()
        own = [slice(int(self.begins[row]), int(self.begins[row + 1])) for row in rows if len(self.begins) > 1]
        return [
            self.decode(self.encode({"item": [self.item[part]], "rating": [self.rating[part]]}))[0]
            for part in own
            if (self.item[part] >= 0).any()
        ]

    def parts(self, gathered: Arrays) -> Parts | None:
        """The latest of what was taken, one by one."""
        (item,), (rating,) = gathered["item"], gathered["rating"]
        first = max(0, len(item) - MOST_PARTS)
        shown = [number for number in range(first, len(item)) if item[number] >= 0]
        if not shown:
            return None

        def encode(gone_KP: np.ndarray) -> Tensor:
            kept_KL = np.ones((len(gone_KP), len(item)), bool)
            kept_KL[:, shown] = ~np.asarray(gone_KP, bool)
            rows = [np.flatnonzero(kept_L) for kept_L in kept_KL]
            user = {"user": [*gathered["user"]] * len(rows)} if "user" in gathered else {}
            return self.encode({"item": [item[row] for row in rows], "rating": [rating[row] for row in rows], **user})

        names = [self.catalogue.title(int(item[number])) for number in shown]
        number = len(shown)
        return Parts("items", names, names, np.zeros((number, 0), np.int64), encode, np.eye(number, dtype=bool))

    def entry(self) -> Entry:
        """A list of items, or a text with commas between them."""
        titles = [self.catalogue.title(number) for number in np.argsort(-self.popularity, kind="stable").tolist()]
        return Entry(
            kind="items",
            unit="items",
            schema={"type": "array", "items": {"type": "string"}, "minItems": 1},
            example=titles[:2],
            details={"items": list(dict.fromkeys(titles[:MOST_OFFERED]))},
        )

    def received(self, value: Any, *, most: int) -> Any:
        """Take items as a list or as a text."""
        items = self.catalogue.parsed(value) if isinstance(value, str) else value
        if not isinstance(items, list) or not items or not all(isinstance(item, str) for item in items):
            raise DataError("expected a list of items, each a text")
        if len(items) > most:
            raise DataError(f"expected at most {most:,} items; got {len(items):,}")
        return items

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """How many users, items and interactions there are, and how they spread."""
        sizes = np.diff(self.begins)
        if not len(sizes) or not len(self.popularity):
            return {}
        taken = np.bincount(self.item[self.item >= 0], minlength=self.size)
        levels = {"least": 0, "median": 0.5, "most": 1}
        spread = {
            "interactions of a user": {name: float(np.quantile(sizes, at)) for name, at in levels.items()},
            "interactions with an item": {name: float(np.quantile(taken, at)) for name, at in levels.items()},
        }
        most = [self.catalogue.title(number) for number in np.argsort(-taken, kind="stable")[:5].tolist()]
        told = {"users": len(sizes), "items": self.size, "interactions": len(self.item)}
        return {**told, "feedback": "ratings" if self.explicit else "taken or not", **spread, "examples": most}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The catalogue, all histories, what is known of users besides, and what was measured."""
        (values, arrays), (people, theirs) = self.before(), self.people.state()
        values["people"] = people
        arrays |= {PEOPLE + name: array for name, array in theirs.items()}
        users = [""] * (len(self.begins) - 1)
        for user, row in self.users.items():
            users[row] = user
        arrays |= packed("users", users)
        arrays |= {"item": self.item, "sizes": np.diff(self.begins).astype(np.int32), "popularity": self.popularity}
        arrays |= {"rating": self.rating} if self.explicit else {}
        return values, arrays

    def _scale(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("explicit", "mean", "spread", "low", "high")}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave; RunError where it is damaged."""
        self.catalogue = Catalogue.from_state(values, arrays)
        theirs = {name.removeprefix(PEOPLE): array for name, array in arrays.items() if name.startswith(PEOPLE)}
        self.people = Catalogue.from_state(values["people"], theirs)
        self.explicit = bool(values["explicit"])
        self.mean, self.spread, self.low, self.high = (float(values[n]) for n in ("mean", "spread", "low", "high"))
        self.item, self.popularity = arrays["item"], arrays["popularity"]
        self.rating = arrays["rating"] if self.explicit else np.full(len(self.item), np.nan, np.float32)
        self.begins = np.concatenate([[0], np.cumsum(arrays["sizes"])]).astype(np.int64)
        users = unpacked("users", arrays)
        fits = self.begins[-1] == len(self.item) == len(self.rating) and len(users) == len(self.begins) - 1
        within = self.item.max(initial=-1) < self.size == len(self.popularity) and self.item.min(initial=0) >= -1
        if not (fits and within and arrays["sizes"].min(initial=0) >= 0):
            raise RunError("the saved histories are damaged: they do not fit users and items")
        self.users = {user: row for row, user in enumerate(users) if user}

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The catalogue, and how ratings are scaled; nobody's history, and nothing of users."""
        values, arrays = self.catalogue.state()
        return {**values, **self._scale()}, arrays


def spans(begin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The places begin, begin + 1, ... of several spans of some size, one after the other."""
    return np.repeat(begin - np.cumsum(size) + size, size) + np.arange(int(size.sum()))


def _items(value: Any) -> list[str]:
    """The items of a value; none where it is no history."""
    listed = value.get("items") if isinstance(value, Mapping) else value
    return [str(item) for item in listed] if isinstance(listed, list | tuple) else []


def _digests(item: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Numbers (N, 16), as bytes, that are equal for equal histories and hardly ever for others."""
    place = spans(np.zeros(len(begins) - 1, np.int64), np.diff(begins))
    mixed = (item.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * (2 * place.astype(np.uint64) + np.uint64(1))
    words = [mixed, mixed ^ (mixed >> np.uint64(32)) * np.uint64(0xBF58476D1CE4E5B9)]
    totals = [np.concatenate([[np.uint64(0)], np.cumsum(word)])[begins] for word in words]
    return np.stack([np.diff(total) for total in totals], 1).view(np.uint8).reshape(-1, 16)


def _flat(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Stored arrays of all rows as one, and how long each is."""
    if hasattr(values, "flat") and hasattr(values, "shapes"):
        return values.flat, values.shapes[:, 0].astype(np.int64)
    return np.concatenate([*values]), np.array([len(each) for each in values], np.int64)
