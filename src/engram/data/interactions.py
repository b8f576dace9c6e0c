"""Interactions: rows that say who took what, when, and how it was liked, become one history for each user.

Which column says what is told by names (userId, customer; movieId, product, isbn), or by evidence where a file has no
header. What is odd about the rows is mended and said, or set aside and said.

Shapes: E interactions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import ConfigError, DataError, unknown
from engram.core.evidence import Evidence, Finding
from engram.data.histories import Histories, divided_at_random, divided_by_time
from engram.data.moments import seconds
from engram.data.packed import Packed
from engram.data.roles import COUNTED, ROLES, called
from engram.data.source.catalogues import catalogue_beside
from engram.data.source.fingerprint import digest
from engram.data.source.rows import Names, as_names
from engram.data.table import Column, Table
from engram.features._catalogue import Catalogue
from engram.features.category import LABEL_NAMES

if TYPE_CHECKING:
    import polars

REPEATS = 1.3
"""How often users and items occur, on average, from where on a table says something about both."""

LOOKED_AT = 100_000
MOST_OTHERS = 3
"""Further columns that a table of interactions has; more make it a table of something else."""

SCALE = 24
"""Different ratings that are steps of a scale; more, or unbounded ones, are counts or measures."""

RARE = 0.001
VAL, TEST = 0.1, 0.2


@dataclass(frozen=True)
class Found:
    """Which column plays which role, and how sure that is."""

    columns: dict[str, str]
    evidence: Evidence


def find(table: Table, *, inputs: Names = None, target: Names = None) -> Found:
    """Say which columns are user, item, rating and time. inputs: user, item and perhaps time, as asked; target: the
    rating, as asked.
    """
    chosen = dict(zip(("user", "item", "time"), as_names(inputs), strict=False))
    chosen |= dict(zip(("rating",), as_names(target), strict=False))
    for name in chosen.values():
        if name not in table.columns:
            raise unknown("column", name, table.columns)
    plain = [name for name, column in table.columns.items() if column.kind in ("number", "text") and not column.lazy]
    free = [name for name in plain if name not in chosen.values()]
    for role in ROLES:
        if role not in chosen and (names := [name for name in free if called(role, name)]):
            chosen[role] = names[0]
            free.remove(names[0])
    if "user" in chosen and "item" in chosen:
        others = [name for name in table.columns if name not in chosen.values()]
        return Found(chosen, _judged(table, chosen, others))
    return _by_evidence(table, plain) or Found({}, Evidence(0.0, "no columns are called like users and items"))


def _judged(table: Table, chosen: dict[str, str], others: list[str]) -> Evidence:
    """How much a table with columns of such names looks like interactions."""
    if labels := [name for name in others if name.strip().lower() in LABEL_NAMES]:
        return Evidence(0.0, f"it has a column called {labels[0]}, which is to be predicted")
    often = {role: _repeats(table.columns[chosen[role]].values[:LOOKED_AT]) for role in ("user", "item")}
    said = f"{chosen['user']} and {chosen['item']} name who took what"
    if min(often.values()) < REPEATS:
        rare = min(often, key=lambda role: often[role])
        return Evidence(0.2 if len(others) <= 1 else 0.0, f"{said}, but {chosen[rare]} hardly repeats")
    counts = " and ".join(f"{number:.0f} rows" if number >= 2 else "some" for number in often.values())
    return Evidence(0.95 if len(others) <= MOST_OTHERS else 0.5, f"{said}, with {counts} each on average")


def _repeats(values: Sequence[Any]) -> float:
    """Rows a different value."""
    different = {value for value in values if value is not None}
    return len(values) / max(1, len(different))


def _by_evidence(table: Table, plain: list[str]) -> Found | None:
    """The roles of a table without names: two columns of ids that repeat, ratings after them, a time last."""
    if not 2 <= len(table.columns) <= 4 or len(plain) < len(table.columns):
        return None
    if not all(re.fullmatch(r"column_\d+|_?\d+", name) for name in plain):
        return None
    first, second, *rest = plain
    heads = {name: [v for v in table.columns[name].values[:LOOKED_AT] if v is not None] for name in plain}
    if min(_repeats(heads[first]), _repeats(heads[second])) < REPEATS or not all(
        map(_are_ids, (heads[first], heads[second]))
    ):
        return None
    chosen = {"user": first, "item": second}
    for name in rest:
        numbers = table.columns[name].kind == "number"
        if numbers and "rating" not in chosen and len(set(heads[name])) <= SCALE:
            chosen["rating"] = name
        elif "time" not in chosen and (not numbers or min(heads[name], default=0) > 1e8):
            chosen["time"] = name
        else:
            return None
    score = {2: 0.3, 3: 0.7, 4: 0.9}[len(plain)]
    said = ", ".join(f"{role} ({name})" for role, name in chosen.items())
    return Found(chosen, Evidence(score, f"without a header, its columns look like {said}"))


def _are_ids(values: Sequence[Any]) -> bool:
    return all(isinstance(v, str) or float(v).is_integer() for v in values[:1000]) and len(set(values)) > 2


def arranged(table: Table, *, inputs: Names = None, target: Names = None, division: str = "", seed: int = 0) -> Table:
    """Return the table with one row for each user, whose column `history` holds `Histories`.

    division: "time", "random", or "" for what suits. DataError where columns lack, or nothing is left.
    """
    found = find(table, inputs=inputs, target=target).columns
    if lacking := [role for role in ("user", "item") if role not in found]:
        raise ConfigError(
            f"expected columns of users and of items; {table.origin} has {', '.join(table.columns)}, of which none is "
            f"called like the {' or the '.join(lacking)}. Name them: --input USER --input ITEM (and --target RATING)"
        )
    notes = [f"The {role} is the column {name}." for role, name in found.items()]
    rows = _Rows(table, found, notes, list(table.findings))
    rows.drop(~(rows.user_known & rows.item_known), "missing_id", "name no user or no item", "fill them in")
    rows.read_times()
    rows.read_ratings()
    rows.order()
    return rows.table(division or ("time" if rows.timed else "random"), seed=seed)


class _Rows:
    """Interactions on their way to histories: arrays (E,) that are mended, filtered and ordered together."""

    def __init__(self, table: Table, found: dict[str, str], notes: list[str], findings: list[Finding]) -> None:
        self.given, self.found, self.notes, self.findings = table, found, notes, findings
        self.user, self.users = numbered(table.columns[found["user"]])
        self.item, self.items = numbered(table.columns[found["item"]])
        number = len(self.user)
        self.place = np.arange(number)
        self.rating, self.time = np.full(number, np.nan, np.float32), np.full(number, np.nan)
        self.split = None if table.split is None else np.asarray(table.split)
        self.timed = False
        self.user_known, self.item_known = self.user >= 0, self.item >= 0

    def drop(self, out: np.ndarray, kind: str, what: str, fix: str) -> None:
        """Leave out some interactions, and say so."""
        if not out.any():
            return
        self.findings.append(
            Finding("warning", kind, f"{out.sum():,} of {len(out):,} rows {what} and were left out", fix=fix)
        )
        self.keep(~out)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some interactions, in their order."""
        for name in ("user", "item", "rating", "time"):
            setattr(self, name, getattr(self, name)[rows])
        self.place = self.place[rows]
        self.split = None if self.split is None else self.split[rows]
        if not len(self.user):
            raise DataError(f"expected interactions of users with items; {self.given.origin} has none left.")

    def column(self, role: str) -> Sequence[Any]:
        """What a column holds for the interactions that are left, before they are put in order."""
        values = self.given.columns[self.found[role]].values
        if len(self.place) == len(values):
            return values
        return values.take(self.place) if hasattr(values, "take") else [values[row] for row in self.place.tolist()]

    def read_times(self) -> None:
        """Seconds since 1970, whatever they were written in."""
        if "time" in self.found:
            self.time, found = seconds(self.column("time"), self.found["time"])
            self.findings += found
            self.timed = bool(np.isfinite(self.time).any())

    def read_ratings(self) -> None:
        """Ratings, where they are steps of a scale; counts and ones say only that something was taken."""
        if "rating" not in self.found:
            self.notes.append("There are no ratings, so that feedback is implicit: what was taken is what is learned.")
            return
        name, rating = self.found["rating"], as_numbers(self.column("rating"))
        values, counts = np.unique(rating[np.isfinite(rating)], return_counts=True)
        if len(values) < 2 or COUNTED.fullmatch(name.lower()) or (len(values) > SCALE and values[-1] > 10 * SCALE):
            self.notes.append(f"Feedback is implicit: {name} is {'always the same' if len(values) < 2 else 'a count'}.")
            return
        usual = values[counts >= RARE * counts.sum()]
        low, high = (float(usual[0]), float(usual[-1])) if len(usual) else (float(values[0]), float(values[-1]))
        self.rating = rating.astype(np.float32)
        self.notes.append(f"Feedback is explicit: {name} are ratings from {low:g} to {high:g}.")
        far = (rating < low - (high - low) / 2) | (rating > high + (high - low) / 2)
        self.drop(far, "out_of_scale", f"have a {name} far outside {low:g} to {high:g}", "correct them")

    def order(self) -> None:
        """The earliest first, users one after the other; of a user's interactions with one item the last counts."""
        time = np.where(np.isfinite(self.time), self.time, -np.inf)
        if self.timed and (lacking := int((~np.isfinite(self.time)).sum())):
            said = f"{lacking:,} interactions have no time that can be read; they count as the earliest"
            self.findings.append(Finding("warning", "no_time", said, fix="fill them in"))
        if self.timed:
            order = np.lexsort((time, self.user))
            if not (time[1:] >= time[:-1]).all():
                self.notes.append("Interactions were put in the order of their times.")
        else:
            order = np.argsort(self.user, kind="stable")
            self.notes.append("There are no times: the order of rows is taken for that of interactions.")
        self.keep(order)
        last = self._last_of_pair()
        if again := int((~last).sum()):
            said = f"{again:,} interactions repeat one of the same user with the same item; the latest counts"
            self.findings.append(Finding("info", "repeated", said))
            self.keep(last)

    def _last_of_pair(self) -> np.ndarray:
        pair = self.user.astype(np.int64) * len(self.items) + self.item
        order = np.argsort(pair, kind="stable")
        last = np.empty(len(pair), bool)
        last[order] = np.append(pair[order][1:] != pair[order][:-1], True)
        return last

    def table(self, division: str, *, seed: int) -> Table:
        """The table of histories."""
        present = np.unique(self.user)
        begins = np.append(np.searchsorted(self.user, present), len(self.user)).astype(np.int64)
        side = self._sides(begins, division, seed)
        users = [self.users[user] for user in present.tolist()]
        catalogue, people = self._described("item", self.items), self._described("user", users)
        if not people.columns:
            people = Catalogue([])
        histories = Histories(users, begins, self.item, self.rating, self.time, side, catalogue, people)
        self._say(begins, side, division)
        columns = {"history": Column("history", histories, "history", digest(self.given.fingerprint, "histories"))}
        notes = [*self.given.notes, *self.notes]
        return replace(
            self.given, columns=columns, split=None, group=None, position=None, notes=notes, findings=self.findings
        )

    def _described(self, role: str, names: list[str]) -> Catalogue:
        """Items or users, with what a table beside says of them."""
        found, notes, findings = catalogue_beside(self.given.origin, self.found, role, names)
        self.notes += notes
        self.findings += findings
        return found

    def _sides(self, begins: np.ndarray, division: str, seed: int) -> np.ndarray:
        if self.split is not None and (self.split == "test").any():
            side = np.select([self.split == "test", self.split == "val"], [2, 1], 0).astype(np.int8)
            if not (side == 1).any():
                chance = divided_at_random(len(side), val=VAL, test=0.0, seed=seed)
                side = np.where(side == 0, chance, side).astype(np.int8)
            self.notes.append("The data says which interactions are for the test.")
            return side
        if division == "random":
            self.notes.append(
                f"Of all interactions, {TEST:.0%} drawn at random are for the test, {VAL:.0%} for validation."
            )
            return divided_at_random(len(self.user), val=VAL, test=TEST, seed=seed)
        self.notes.append(
            f"The last {TEST:.0%} of each user's interactions are for the test, "
            f"the {VAL:.0%} before them for validation."
        )
        return divided_by_time(begins, val=VAL, test=TEST)

    def _say(self, begins: np.ndarray, side: np.ndarray, division: str) -> None:
        """What of the division is to be known."""
        sizes = np.diff(begins)
        if single := int((sizes == 1).sum()):
            said = f"{single:,} of {len(sizes):,} users have a single interaction: nothing of theirs can be asked for"
            self.findings.append(Finding("info", "single_interaction", said))
        seen = np.zeros(len(self.items), bool)
        seen[self.item[side == 0]] = True
        unseen = ~seen[self.item[side == 2]]
        if unseen.any():
            said = (
                f"{unseen.mean():.1%} of the test interactions are with items that training never saw "
                f"({len(np.unique(self.item[side == 2][unseen])):,} items); they count in the scores"
            )
            self.findings.append(Finding("info", "only_in_test", said))
        if not self.timed or division != "time":
            return
        inner = np.ones(len(side), bool)
        inner[begins[:-1]] = False
        cut = inner & (side == 2) & (np.roll(side, 1) < 2)
        tied = cut & (self.time == np.roll(self.time, 1))
        if tied.any():
            said = (
                f"for {tied.sum():,} of {cut.sum():,} users, what was learned from and what is asked for meet in "
                "interactions of the same time, whose order is that of the rows"
            )
            self.findings.append(Finding("info", "tied_times", said))
        middle = np.median(self.time[side == 2]) if (side == 2).any() else np.inf
        if (later := float((self.time[side == 0] > middle).mean())) > 0.01:
            self.notes.append(
                "Each user is divided by their own time, so that what is learned from others may be of later days: "
                f"{later:.0%} of it is later than half of the test."
            )


def numbered(column: Column) -> tuple[np.ndarray, list[str]]:
    """Number the values of a column by their sorted names: (numbers (E,), -1 where there is none; names).

    A whole number has the same name however it was written.
    """
    import polars

    series = _series(column.values)
    if series.dtype.is_float():
        series = series.fill_nan(None)
        whole = series.drop_nulls()
        series = series.cast(polars.Int64) if (whole == whole.round()).all() else series.cast(polars.String)
    if not series.dtype.is_integer():
        series = series.cast(polars.String).str.strip_chars()
        series = series.set(series == "", None)
        as_whole = series.cast(polars.Int64, strict=False)
        plain = as_whole.is_not_null() & (as_whole.cast(polars.String) == series) | series.is_null()
        series = as_whole if plain.all() else series
    known = series.drop_nulls().unique().sort()
    places = known.to_frame().with_row_index("place")
    joined = series.to_frame().join(places, on="value", how="left", maintain_order="left")
    return joined["place"].cast(polars.Int32).fill_null(-1).to_numpy(), known.cast(polars.String).to_list()


def as_numbers(values: Sequence[Any]) -> np.ndarray:
    """Values as numbers (float64), NaN for what is none."""
    import polars

    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    series = _series(values)
    if series.dtype == polars.String:
        series = series.str.strip_chars()
    return series.cast(polars.Float64, strict=False).fill_null(np.nan).to_numpy()


def _series(values: Sequence[Any]) -> polars.Series:
    """Values as a series, at once where they are packed."""
    import polars

    if isinstance(values, Packed):
        return values.series.alias("value")
    return polars.Series(
        "value", values if isinstance(values, np.ndarray | polars.Series) else list(values), strict=False
    )
