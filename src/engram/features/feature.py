"""The contract of a feature: one kind of value, from the user's data to tensors and back.

`store` runs once per value, independent of any fit, so that another fold, seed or budget prepares
nothing again. `fit` sees training rows only. `encode` applies the fitted state to a whole gathered
batch. `decode` returns to the terms of the original. Everything saved is JSON and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from engram.core.evidence import Evidence, Finding
from engram.core.parts import Axis, Parts
from engram.core.registry import snake_case
from engram.core.wishes import Wish

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

Alteration = Callable[[Any, Any], Any]
"""(raw value, numpy generator) -> the value as it might have come, slightly spoilt."""

Arrays = dict[str, Any]
"""Gathered values of some rows: name -> array whose first axis is the row, or a list for ragged values."""


@dataclass(frozen=True)
class Entry:
    """How a person or another program gives a value.

    kind: what a page asks for: "picture", "text", "turns" (a conversation), "form" (a row of a table), "items"
    (things to choose), "series" (numbers over time). unit: what its size is counted in. schema: of the value as JSON
    (JSON Schema). example: such a value. details: what a page needs to know besides, ready for JSON.
    """

    kind: str
    unit: str
    schema: dict[str, Any]
    example: Any
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Whole:
    """All values of a column as a feature stores them, made at once.

    arrays: name -> array whose first axis is the row, list, or, where rows differ in length, (all of them one after
    the other, how many each row has). digest: uint8 (N, 16), equal for equal content. problems: row -> why it cannot
    be read, of features that are not kept on disk; what stands in the arrays there means nothing.
    """

    arrays: dict[str, Any]
    digest: np.ndarray
    problems: dict[int, str] = field(default_factory=dict)


class Misconfigured(Exception):  # noqa: N818  (a signal between a feature and the store, never an error for the user)
    """A value does not fit what a survey of some values had concluded; `config` is the configuration that fits all."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__("the configuration does not fit every value")
        self.config = config


class Feature:
    """One kind of value. The constructor's keyword arguments are its configuration."""

    version: ClassVar[int] = 1
    """Raise it when `store` changes what it writes: prepared data of older versions is then prepared again."""

    on_disk: ClassVar[bool] = False
    """Whether stored values are large enough to be kept memory-mapped on disk."""

    is_text: ClassVar[bool] = False
    """Whether values are texts."""

    typed: ClassVar[bool] = False
    """Whether a value can be typed as a text where a path is expected."""

    takes: ClassVar[str] = "column"
    """What a feature is given: one "column", or the "rest" of a table, all columns that play no other role, or what a
    task makes of a whole "table" (`Task.arranged`)."""

    thing: ClassVar[str] = "example"
    """What one value is called in a sentence."""

    near_copies: ClassVar[str] = "changed on the way"
    """How copies that `signatures` find may differ, for findings."""

    wishes: ClassVar[tuple[Wish, ...]] = ()
    """What of its configuration, or of the way to it, the user may decide in place of what suits the data."""

    varying: ClassVar[dict[int, str]] = {}
    """Axes of what an exported model is given whose lengths vary, by name; the first, the example's, varies always."""

    @property
    def name(self) -> str:
        """The feature's name, which is its file's name."""
        return snake_case(type(self).__name__)

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Say how well a column's values fit this feature, and why. `column` is an `engram.data.table.Column`."""
        raise AssertionError("a feature must say this")

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> Feature:
        """Configure the feature from a look at some values (sizes, colours), before anything is stored."""
        return cls(**wishes)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON; together with `version` they key the prepared store."""
        return {}

    def store_keys(self) -> list[dict[str, Any]]:
        """What the prepared values depend on, as JSON. They are written under the first key and read under any."""
        return [self.config()]

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Turn one raw value into arrays, independent of any fit. DataError says why a value cannot be read."""
        raise AssertionError("a feature must say this")

    def store_all(self, column: Any) -> Whole | None:
        """Store a whole column at once, each row as `store` would; None where that cannot be: one by one, then."""
        return None

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn the fitted state from the training rows of an `engram.data.store.Stored`."""

    def refined(self, stored: Any) -> Mapping[str, tuple[np.ndarray, np.ndarray] | np.ndarray]:
        """What the fitted state makes of all stored values once, so that `encode` need not in every epoch.

        Returns further arrays of one axis by name, each as (the rows' values one after the other, how many each row
        has), and `encode` takes gathered values with them and without. Or arrays whose first axis is the row, which
        are all that is gathered from then on.
        """
        return {}

    def lengths(self, stored: Any, rows: np.ndarray) -> np.ndarray | None:
        """How long refined values are (B,) as networks see them; None where all are alike.

        Values of different lengths are encoded with zeros behind the shorter ones.
        """
        return None

    def holds(self, item: Any) -> bool:
        """Whether what could be a table or its path is one value."""
        return False

    def entry(self) -> Entry | None:
        """How a value is given from elsewhere, once the feature is fitted; None: only from this machine's files."""
        return None

    def at_hand(self) -> list[Any]:
        """Raw values that a run answers for where none is named, such as the series that it learned from."""
        return []

    def received(self, value: Any, *, most: int) -> Any:
        """Turn what came from elsewhere, a value of JSON or a file's bytes, into a raw value for `store`.

        A text is never taken as a path. DataError for what is no such value, or has more than `most` units of its
        entry, before any of it is decoded.
        """
        raise AssertionError("a feature with an entry must say this")

    def encode(self, gathered: Arrays, views: Any = None) -> Any:
        """Turn gathered values of B rows into a tensor whose first axis is B.

        `views` (a tensor of shape (B, 2, 3), see `engram.data.augment`) says where in each example the
        network looks; None is the view that answers are given for. Features without geometry ignore it.
        """
        raise AssertionError("a feature must say this")

    def decode(self, encoded: Any) -> list[Any]:
        """Turn encoded values back into the user's terms, one per example."""
        raise AssertionError("a feature must say this")

    def parts(self, gathered: Arrays) -> Parts | None:
        """Take one gathered value apart; None where there is nothing to be taken away."""
        return None

    def remembered(self, number: int) -> list[Any]:
        """Some raw values that the fitted feature itself keeps, for examples; none where it keeps none."""
        return []

    def axes(self) -> list[Axis]:
        """The columns that an encoded value consists of, which can be exchanged between values; none by default."""
        return []

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """What each id of an encoded text stands for, which together read as the text does."""
        raise AssertionError("a feature of texts must say this")

    def traits(self, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """What each value is like, a number or a word, by which those that are answered worse may be found."""
        return {}

    def alterations(self) -> dict[str, Alteration]:
        """Mild ways in which values may be spoilt before they arrive, by name, which should not change an answer."""
        return {}

    def strange(self, values: Sequence[Any], random: np.random.Generator) -> dict[str, list[Any]]:
        """Values, by kind, that are unlike any that were learned from, as many as these raw values and as large."""
        return {}

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """What these values are, as JSON: numbers, distributions (mappings), `examples`; empty for nothing to say."""
        return {}

    def given(self, gathered: Arrays) -> Tensor:
        """What an exported model is given for gathered values that are alike in shape: what `graph` begins with."""
        encoded: Tensor = self.encode(gathered)
        return encoded

    def graph(self) -> nn.Module | None:
        """How an exported model encodes what it is given: as a module with a `record` of its "arguments".

        `graph()(given(values))` is `encode(values)`. None where what is given is encoded already.
        """
        return None

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is left to whoever gives values to an exported model, as (JSON, arrays): by default all of `encode`."""
        return self.state()

    def check(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """What is wrong with these values, for the doctor, who names the rows of a finding's fixes."""
        return []

    def signatures(self, stored: Any, rows: np.ndarray) -> np.ndarray | None:
        """Numbers by which copies of a value are found although it was changed on the way (re-encoded, resized).

        Returns float32 (B, V, D) of unit length, V for the ways in which a copy may have been changed on purpose,
        such as mirrored, the value as it is first; NaN where a value says too little. Or int64 (B, D): hashes, of
        which copies have some in common at the same places; -1 where a value says too little. None: exact copies are
        all that is looked for.
        """
        return None

    def same(self, stored: Any, rows: np.ndarray, others: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """Tell (bool (B,)) whether pairs with close signatures are copies indeed; `ways` is the second one's way."""
        raise AssertionError("a feature with signatures must say this")

    def circumstances(self, column: Any, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """Facts of how each value came to be, which should not tell its label: format, size, camera, frame."""
        return {}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The fitted state as (JSON, arrays)."""
        return {}, {}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back what `state` gave. RunError if it does not fit."""


@dataclass(frozen=True)
class Configured:
    """A feature class with some of its configuration decided by a task: `Configured(Text, {"tokenizer": "words"})`."""

    feature: type[Feature]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def thing(self) -> str:
        """What one value is called."""
        return self.feature.thing

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """What the user may decide."""
        return self.feature.wishes

    def matches(self, column: Any) -> Evidence:
        """Say how well a column's values fit the feature."""
        return self.feature.matches(column)

    @property
    def takes(self) -> str:
        """What the feature is given."""
        return self.feature.takes

    def survey(self, column: Any, **wishes: Any) -> Feature:
        """Configure the feature from a look at some values, as the task and the user wish."""
        return self.feature.survey(column, **{**self.config, **wishes})
