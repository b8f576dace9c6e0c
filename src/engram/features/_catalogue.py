"""The catalogue: all items there are, their titles, and what is known of them besides.

Shapes: I items, M marks of all items one after the other.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from engram.core.errors import DataError, RunError

WORDS = re.compile(r"[^\W_]+")
YEAR = re.compile(r"\((\d{4})\)\s*$")
"""What stands behind many titles."""

LEAST_SHARED = 2
"""Items that must have a mark in common before it says anything."""

MOST_MARKS = 20_000
"""The most frequent marks are kept."""

MOST_COMMAS = 6
"""Pieces between commas of which a title is made, at most."""

Columns = Mapping[str, Sequence[Sequence[str]]]


@dataclass
class Catalogue:
    """Items by number, from 0 on.

    names: as interactions call them. titles: as people do; none where that is not known. columns: what an item table
    says besides, by column: the values of each item, none, one or several.
    """

    names: list[str]
    titles: list[str] = field(default_factory=list)
    columns: dict[str, list[list[str]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def number(self) -> dict[str, int]:
        """Name -> number."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def by_title(self) -> dict[str, int]:
        """Title in lower case -> number, as it stands and as `plain_titles` has it; of two alike the first."""
        found: dict[str, int] = {}
        for number, title in enumerate(self.titles):
            for said in (title.lower().strip(), *plain_titles(title)):
                found.setdefault(said, number)
        return found

    def title(self, number: int) -> str:
        """What people call an item; its name where there is no title."""
        return self.titles[number] if self.titles else self.names[number]

    def find(self, said: str) -> int | None:
        """The number of the item with a name or a title; None where there is none."""
        found = self.number.get(said.strip())
        return found if found is not None else self.by_title.get(said.lower().strip())

    def sure(self, said: str) -> int:
        """The number of an item; DataError offers the nearest where there is none of that name or title."""
        found = self.find(said)
        if found is None:
            close = self.like(said)
            hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else "Name one as the data does."
            raise DataError(f"expected an item of the catalogue; there is none called {said.strip()!r}. {hint}")
        return found

    def parsed(self, listed: str) -> list[str]:
        """Items in a text, with commas between them; titles that hold commas are found all the same."""
        pieces, items = listed.split(","), []
        while pieces:
            joined = [",".join(pieces[:number]) for number in range(min(len(pieces), MOST_COMMAS), 0, -1)]
            item = next((one for one in joined if self.find(one) is not None), pieces[0])
            pieces = pieces[item.count(",") + 1 :]
            items += [item.strip()] if item.strip() else []
        return items

    def like(self, said: str, *, most: int = 3) -> list[str]:
        """Titles (names where there are none) that are spelled much like what was said, or contain it."""
        wanted = said.lower().strip()
        known = self.by_title if self.titles else self.number
        within = [name for name in known if len(wanted) > 2 and wanted in name.lower()]
        close = difflib.get_close_matches(wanted, list(known), n=most, cutoff=0.6)
        chosen = dict.fromkeys(known[name] for name in [*close, *sorted(within, key=len)])
        return [self.title(number) for number in list(chosen)[:most]]

    @cached_property
    def marks(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """What items may have in common: (marks (M,), where each item's begin (I + 1,), what each mark is).

        Values of the columns, and words of titles, without the year behind them, which is a column by itself; those
        that only one item has say nothing.
        """
        said = [[f"{column}={value}" for column, values in self.columns.items() for value in values[item]]
                for item in range(len(self))]  # fmt: skip
        for item, title in enumerate(self.titles):
            said[item] += [f"title: {word}" for word in dict.fromkeys(WORDS.findall(YEAR.sub("", title.lower())))]
        counts = Counter(mark for marks in said for mark in marks)
        known = [mark for mark, number in counts.most_common(MOST_MARKS) if number >= LEAST_SHARED]
        place = {mark: number for number, mark in enumerate(known)}
        kept = [[place[mark] for mark in marks if mark in place] for marks in said]
        begins = np.concatenate([[0], np.cumsum([len(marks) for marks in kept])]).astype(np.int64)
        flat = np.fromiter((mark for marks in kept for mark in marks), np.int64, int(begins[-1]))
        return flat, begins, known

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """As JSON and arrays."""
        arrays = packed("names", self.names)
        arrays |= packed("titles", self.titles) if self.titles else {}
        values = {name: sorted({v for of_item in column for v in of_item}) for name, column in self.columns.items()}
        for index, (name, column) in enumerate(self.columns.items()):
            place = {value: number for number, value in enumerate(values[name])}
            arrays[f"column-{index}"] = np.array([place[v] for of_item in column for v in of_item], np.int32)
            arrays[f"column-{index}.sizes"] = np.array([len(of_item) for of_item in column], np.int32)
        return {"columns": [[name, values[name]] for name in self.columns]}, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Catalogue:
        """Take back what `state` gave; RunError where it is damaged."""
        names = unpacked("names", arrays)
        titles = unpacked("titles", arrays) if "titles.sizes" in arrays else []
        columns: dict[str, list[list[str]]] = {}
        for index, (name, known) in enumerate(values.get("columns", [])):
            flat, sizes = arrays[f"column-{index}"], arrays[f"column-{index}.sizes"]
            if len(sizes) != len(names) or sizes.min(initial=0) < 0 or sizes.sum() != len(flat):
                raise RunError(f"the saved catalogue is damaged: the column {name!r} does not fit its items")
            said = [str(known[place]) for place in flat.tolist()]
            ends = np.cumsum(sizes).tolist()
            columns[str(name)] = [said[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]
        if len(set(names)) != len(names) or len(titles) not in (0, len(names)):
            raise RunError("the saved catalogue is damaged: expected different names, and a title for each or none")
        return cls(names, titles, columns)


def plain_titles(title: str) -> list[str]:
    """A title in lower case without what stands in brackets behind it, such as a year; and with its article before it
    where that was put behind ("Matrix, The").
    """
    plain = re.sub(r"\s*\([^()]*\)\s*$", "", title).lower().strip() or title.lower().strip()
    moved = re.fullmatch(r"(.*), (the|a|an|der|die|das|le|la|les|il|el)", plain)
    return [plain, f"{moved[2]} {moved[1]}"] if moved else [plain]


def packed(name: str, texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Texts as arrays: their UTF-8 one after the other, and their sizes."""
    pieces = [text.encode("utf-8", "backslashreplace") for text in texts]
    sizes = np.array([len(piece) for piece in pieces], np.int32)
    return {name: np.frombuffer(b"".join(pieces), np.uint8), f"{name}.sizes": sizes}


def unpacked(name: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Take back what `packed` gave; RunError where it is damaged."""
    if name not in arrays or f"{name}.sizes" not in arrays:
        raise RunError(f"the saved {name} are missing")
    content, sizes = arrays[name].tobytes(), arrays[f"{name}.sizes"]
    if sizes.min(initial=0) < 0 or sizes.sum(dtype=np.int64) != len(content):
        raise RunError(f"the saved {name} are damaged: they do not fit their sizes")
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    return [
        content[end - size : end].decode("utf-8", "replace") for end, size in zip(ends, sizes.tolist(), strict=True)
    ]
