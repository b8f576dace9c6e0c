"""Record: a row of a table, of any number of columns: numbers, categories, dates, free text.

Networks and trees see one row of numbers: first those of all columns (the transformed numbers, dates as a moment and
what recurs in it, texts as topics), NaN where they are missing; then one code for each category, 0 for missing or
unknown. What a column is, is found by looking at it (`_fields/survey.py`), and is the user's to change.

Shapes: N or B rows, F places of an encoded row, C columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core import machine
from engram.core.errors import DataError, RunError, unknown
from engram.core.evidence import Evidence, Finding
from engram.core.parts import Axis, Parts
from engram.core.wishes import Wish
from engram.features._fields import digests, quality
from engram.features._fields.arrays import flat, series_of
from engram.features._fields.field import Field
from engram.features._fields.survey import field_from, surveyed, wished_kinds
from engram.features._fields.words import TOPICS, WordsField
from engram.features.feature import Arrays, Entry, Feature, Whole

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = Wish("columns", "what a column is, in place of what it seems to be", several=True, metavar="NAME=KIND")

TOGETHER = 1 << 14
"""Rows that are encoded at a time."""

MOST_TOPICS, LEAST_TOPICS = 32, 4
"""Of all texts of a row together, and of each: many texts must not crowd out the other columns."""


class Record(Feature):
    """A row of a table: a mapping from column to value. Other columns than those of `fields` are ignored.

    fields: what each column is, as `Field.config` says it. left_out: columns that are not used, and why.
    """

    takes = "rest"
    thing = "row"
    on_disk = True
    wishes = (COLUMNS,)

    def __init__(self, *, fields: Sequence[Mapping[str, Any]] = (), left_out: Mapping[str, str] | None = None) -> None:
        self.fields: list[Field] = [field_from(config) for config in fields]
        self.left_out = dict(left_out or {})

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Rows of a table."""
        if column.kind != "record":
            return Evidence(0.0, f"its values are of kind {column.kind}")
        return Evidence(0.5, f"rows of {len(column.values.columns):,} columns")

    @classmethod
    def survey(
        cls, column: Any, *, columns: Mapping[str, str] | Sequence[str] | str | None = None, **wishes: Any
    ) -> Feature:
        """Look at every column. columns: name -> kind, or "NAME=KIND" each, in place of what it seems to be.

        ConfigError for a column that does not exist, DataError where nothing can be learned from any.
        """
        given, wanted = column.values.columns, wished_kinds(columns)
        for name in wanted:
            if name not in given:
                raise unknown("column", name, given)
        found = machine.each(lambda name: surveyed(name, given[name], wanted.get(name)), list(given))
        judged = dict(zip(given, found, strict=True))
        used = [field for field in judged.values() if isinstance(field, Field)]
        texts = [field for field in used if isinstance(field, WordsField)]
        for field in texts:
            field.topics = max(LEAST_TOPICS, min(TOPICS, MOST_TOPICS // len(texts)))
        if not used:
            why = "; ".join(f"{name}: {reason}" for name, reason in judged.items()) or "no column is left"
            raise DataError(f"expected columns that tell something of the target; there is none ({why}).")
        fields = [field.config() for field in used]
        return cls(fields=fields, left_out={n: why for n, why in judged.items() if isinstance(why, str)}, **wishes)

    def config(self) -> dict[str, Any]:
        """What each column is."""
        return {"fields": [field.config() for field in self.fields], "left_out": self.left_out}

    def store_keys(self) -> list[dict[str, Any]]:
        """What is stored depends on the columns that are used, and on how they are read."""
        return [{"fields": [field.config() for field in self.fields]}]

    @property
    def _plain(self) -> list[Field]:
        """Fields whose cells are stored as one number."""
        return [field for field in self.fields if not field.is_ragged]

    @property
    def _ragged(self) -> dict[str, Field]:
        """Fields whose cells are stored as several, by the name of their array."""
        return {f"words_{number}": field for number, field in enumerate(f for f in self.fields if f.is_ragged)}

    @property
    def _numbers(self) -> list[Field]:
        return [field for field in self.fields if not field.is_code]

    @property
    def _codes(self) -> list[Field]:
        return [field for field in self.fields if field.is_code]

    @property
    def num_numbers(self) -> int:
        """How many places hold numbers; codes follow."""
        return sum(len(field.labels) for field in self._numbers)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many codes each category has, 0 among them."""
        return tuple(field.cardinality for field in self._codes)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each place is called."""
        return tuple(label for field in (*self._numbers, *self._codes) for label in field.labels)

    @property
    def shape(self) -> tuple[int]:
        """The number of places."""
        return (len(self.labels),)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        return tuple(field.name for field in self.fields)

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Return {"cells": float64 (C,), "words_0": ...} of a row. DataError for what is none, or lacks a column."""
        if hasattr(value, "to_dict"):  # a row of a data frame
            value = value.to_dict()
        if not isinstance(value, Mapping):
            raise DataError(f"expected a row: a mapping from column to value; got {type(value).__name__}")
        self.require(value)
        found = {"cells": np.array([field.read_one(value.get(field.name)) for field in self._plain], np.float64)}
        return found | {name: field.read_one(value.get(field.name)) for name, field in self._ragged.items()}

    def require(self, given: Any) -> None:
        """DataError unless every column is given that training rows always had."""
        lacking = [field.name for field in self.fields if field.name not in given and not field.optional]
        if lacking or not any(field.name in given for field in self.fields):
            names = ", ".join(map(str, given)) or "none"
            raise DataError(
                f"expected a value for {', '.join(lacking or self.columns)}; got {names}. "
                "Give every column that the training rows had"
            )

    def store_all(self, column: Any) -> Whole:
        """Store all rows, column by column."""
        given = column.values.columns
        self.require(given)
        cells_NC = np.empty((len(column), len(self._plain)))
        places = {field.name: place for place, field in enumerate(self._plain)}

        def read(field: Field) -> Any:
            found = field.read(series_of(given.get(field.name), len(column)))
            if field.is_ragged:
                return found
            cells_NC[:, places[field.name]] = found
            return None

        ordered = sorted(self.fields, key=lambda field: not field.is_ragged)  # what takes longest goes first
        found = {field.name: one for field, one in zip(ordered, machine.each(read, ordered), strict=True)}
        words = {name: found[field.name] for name, field in self._ragged.items()}
        return Whole({"cells": cells_NC, **words}, digests.of(cells_NC, list(words.values())))

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Fit each column on the training rows."""
        rows = np.asarray(rows)
        places = range(len(self.fields))
        machine.each(lambda place: self.fields[place].fit(self.read_of(stored.arrays, rows, place)), places)

    def read_of(self, arrays: Mapping[str, Any], rows: np.ndarray, place: int) -> Any:
        """What was read of some rows of a field."""
        field = self.fields[place]
        before = sum(other.is_ragged == field.is_ragged for other in self.fields[:place])
        return flat(arrays[f"words_{before}"], rows) if field.is_ragged else arrays["cells"][rows, before]

    def refined(self, stored: Any) -> dict[str, np.ndarray]:
        """Encode every row once."""
        record_NF = np.empty((len(stored), *self.shape), np.float32)

        def fill(start: int) -> None:
            rows = np.arange(start, min(start + TOGETHER, len(stored)))
            self._encode(stored.arrays, rows, record_NF[start : start + TOGETHER])

        machine.each(fill, range(0, len(stored), TOGETHER))
        return {"record": record_NF}

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return float32 (B, F): numbers, NaN where they are missing, then codes."""
        import torch

        if "record" in gathered:
            return torch.from_numpy(gathered["record"])
        record_BF = np.empty((len(gathered["cells"]), *self.shape), np.float32)
        self._encode(gathered, np.arange(len(record_BF)), record_BF)
        return torch.from_numpy(record_BF)

    def _encode(self, arrays: Mapping[str, Any], rows: np.ndarray, record_BF: np.ndarray) -> None:
        """Write what networks see of some rows."""
        number, code = 0, self.num_numbers
        for place, field in enumerate(self.fields):
            first, width = (code, 1) if field.is_code else (number, len(field.labels))
            record_BF[:, first : first + width] = field.encode(self.read_of(arrays, rows, place))
            number, code = (number, code + 1) if field.is_code else (number + width, code)

    def decode(self, encoded: Tensor) -> list[dict[str, Any]]:
        """Return rows; of texts there is no telling, and names that have no code are None."""
        record_NF, place, found = np.asarray(encoded), 0, {}
        for field in (*self._numbers, *self._codes):
            width = len(field.labels)
            found[field.name] = field.decode(record_NF[:, place : place + width])
            place += width
        return [{name: found[name][row] for name in self.columns} for row in range(len(record_NF))]

    def parts(self, gathered: Arrays) -> Parts:
        """Its columns."""
        from engram.features._parts_of_records import parts_of

        record_1F, column_F = self.encode(gathered), np.empty(self.shape, np.int64)
        for number, axis in enumerate(self.axes()):
            column_F[axis.places] = number
        return parts_of(
            self.decode(record_1F)[0], record_1F, columns=self.columns, column_F=column_F, num_numbers=self.num_numbers
        )

    def axes(self) -> list[Axis]:
        """Its columns, in their order."""
        place, places = 0, {}
        for field in (*self._numbers, *self._codes):
            places[field.name] = np.arange(place, place := place + len(field.labels))
        return [Axis(field.name, places[field.name], field.course()) for field in self.fields]

    def entry(self) -> Entry:
        """A JSON object with a value for each column."""
        columns = [
            {"name": field.name, "kind": field.kind, "optional": field.optional, "example": field.example(),
             **({"choices": field.schema()["examples"]} if "examples" in field.schema() else {})}
            for field in self.fields
        ]  # fmt: skip
        schema = {
            "type": "object",
            "properties": {field.name: field.schema() for field in self.fields},
            "required": [field.name for field in self.fields if not field.optional],
        }
        example = {field.name: field.example() for field in self.fields}
        return Entry(kind="form", unit="characters", schema=schema, example=example, details={"columns": columns})

    def received(self, value: Any, *, most: int) -> Any:
        """Take an object of at most so many characters in all."""
        if not isinstance(value, Mapping):
            raise DataError(f"expected an object with a value for each column; got {type(value).__name__}")
        if (number := sum(len(str(one)) for one in value.values())) > most:
            raise DataError(f"expected at most {most:,} characters; the row has {number:,}")
        return value

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """What each column is and why, how much of it is missing, and a few facts."""
        if not len(rows):
            return {}
        table = []
        for place, field in enumerate(self.fields):
            read = self.read_of(stored.arrays, rows, place)
            lacking = field.missing(read).mean()
            known = {"missing": f"{lacking:.1%}" if lacking else "", "values": field.summary(read)}
            table.append({"column": field.name, "kind": field.kind, **known, "why": field.reason})
        unused = [{"column": name, "kind": "left out", "why": why} for name, why in self.left_out.items()]
        return {"columns": len(table), "left out": len(unused), "table": [*table, *unused]}

    def check(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """What is odd about the columns, which are not used, and which rows are equal by chance."""
        places = {field.name: place for place, field in enumerate(self.fields)}
        plain = self._plain

        def read(field: Field, some: np.ndarray) -> np.ndarray:
            cells: np.ndarray = self.read_of(stored.arrays, some, places[field.name])
            return cells

        found = list(quality.check(plain, read, rows))
        if len(plain) == len(self.fields) and (number := digests.expected_equal(stored.arrays["cells"][rows])):
            message = f"{number:,} rows are equal by chance: columns of few values repeat, and no row counts as a copy"
            found.append(Finding("info", "equal_rows", message))
        if self.left_out:
            message = f"{len(self.left_out)} columns are not used"
            where = tuple(f"{name}: {why}" for name, why in self.left_out.items())
            found.append(
                Finding("info", "unused_columns", message, where, "to use one all the same: --columns NAME=KIND")
            )
        return found

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What each column is, and what it has learned; and how the places are called."""
        values, arrays = self.state()
        fields = [{**field.config(), **own} for field, own in zip(self.fields, values["fields"], strict=True)]
        return {"fields": fields, "places": list(self.labels), "num_numbers": self.num_numbers}, arrays

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The fitted state of each column."""
        found = [field.state() for field in self.fields]
        arrays = {f"{place}/{name}": array for place, (_, own) in enumerate(found) for name, array in own.items()}
        return {"fields": [values for values, _ in found]}, arrays

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back what each column has learned; RunError if it is damaged."""
        states = values.get("fields")
        if (
            not isinstance(states, list)
            or len(states) != len(self.fields)
            or not all(isinstance(s, dict) for s in states)
        ):
            raise RunError("the saved columns are damaged: expected the state of each")
        for place, (field, state) in enumerate(zip(self.fields, states, strict=True)):
            prefix = f"{place}/"
            field.load_state(state, {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)})
