"""What each column of a record is, judged by its name and values, with the reason; the user's word goes first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import ConfigError, unknown
from engram.features._fields.categories import CategoryField
from engram.features._fields.field import MISSING, Field
from engram.features._fields.moments import PARTS, MomentField, part_of
from engram.features._fields.numbers import NumberField
from engram.features._fields.words import WordsField
from engram.features._moments import DAYS, PERIODS, Dates, dates_of, serial, twin
from engram.features.category import ID_NAMES, canonical

if TYPE_CHECKING:
    import polars

KINDS: dict[str, type[Field]] = {field.kind: field for field in (NumberField, CategoryField, MomentField, WordsField)}

IGNORE = "ignore"
LOOKED_AT = 1000
"""Different texts by which it is told how many words they have."""

FEW = 20
"""So many different values are categories, however few rows there are."""

DATE_NAMES = re.compile(r"date|datum|day|time|stamp|when|birth|(^|_)(at|on|dt|ts|dob)(_|$)", re.I)

LeftOut = str
"""Why a column is left out."""


def wished_kinds(columns: Mapping[str, str] | Sequence[str] | str | None) -> dict[str, str]:
    """Column -> kind; ConfigError for what says no kind."""
    if columns is None or isinstance(columns, Mapping):
        return dict(columns or {})
    pairs = [pair.partition("=") for pair in ([columns] if isinstance(columns, str) else columns)]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0] and pair[2])]:
        raise ConfigError(f"expected NAME=KIND for columns, such as zip=category; got {', '.join(wrong)}")
    return {name: kind for name, _, kind in pairs}


def surveyed(name: str, column: Any, wish: str | None = None) -> Field | LeftOut:
    """Say what a column is, or why it is left out. wish: a kind out of `KINDS`, "ignore", or "date:FORMAT"."""
    if wish == IGNORE:
        return "left out, as asked"
    if column.kind not in ("number", "text", "names") or not hasattr(column.values, "series"):
        values = _as_series(column)
        if values is None:
            return f"its values are of kind {column.kind}, which a row of a table does not hold"
    else:
        values = column.values.series
    present = _present(values)
    optional = len(present) < len(values)
    if wish is not None:
        return _wished(name, present, wish, optional=optional)
    if not len(present):
        return "it is empty"
    number = _num_distinct(column, present)
    if number == 1 and not optional:
        return f"it says {present[0]!r} in every row"
    if column.kind == "names":
        return WordsField(name, reason="lists of names", optional=optional)
    if column.kind == "number":
        return _number(name, column, present, number, optional=optional)
    return _text(name, present, number, optional=optional)


def _num_distinct(column: Any, present: polars.Series) -> int:
    """How many different values there are; exactly, where nearly every row has its own."""
    known = getattr(column.values, "num_distinct", None)
    return known if known is not None and 1 < known < 0.8 * len(present) else present.n_unique()


def _as_series(column: Any) -> polars.Series | None:
    """Lists of names as a series; None for what is none."""
    import polars

    if column.kind != "names":
        return None
    return polars.Series(
        [None if names is None else list(names) for names in column.values], dtype=polars.List(polars.String)
    )


def _present(values: polars.Series) -> polars.Series:
    """The values that are there, texts without spaces around them."""
    import polars

    if values.dtype != polars.String:
        return values.drop_nulls()
    texts = values.drop_nulls().str.strip_chars()
    short = texts.filter(texts.str.len_bytes() <= max(map(len, MISSING))).unique().to_list()
    nothing = [text for text in short if text.lower() in MISSING]
    return texts.filter(~texts.is_in(nothing)) if nothing else texts


def _wished(name: str, present: polars.Series, wish: str, *, optional: bool) -> Field:
    kind, _, form = wish.partition(":")
    if kind not in KINDS:
        raise unknown("kind of column", kind, [*KINDS, IGNORE])
    if kind == "date":
        return _wished_date(name, present, form, optional=optional)
    if kind == "category":
        return _category(name, present, reason="as asked", optional=optional)
    return KINDS[kind](name, reason="as asked", optional=optional)


def _wished_date(name: str, present: polars.Series, form: str, *, optional: bool) -> Field:
    import polars

    found = [form] if form else _serial(name, present, sure=True)
    if not found and present.dtype == polars.String:
        dates = dates_of(present, (*DAYS, *PERIODS))
        found = dates.forms if dates.readable else []
    field = _moment(name, present, found, reason="as asked", optional=optional) if found else None
    if field is None or (len(present) and not np.isfinite(field.read(present)).any()):
        example = f"values such as {present[0]!r}" if len(present) else "no value"
        raise ConfigError(
            f"expected dates in the column {name}; got {example}. Say how their days are written, such as "
            f"{name}=date:%d/%m/%Y."
        )
    return field


def _number(name: str, column: Any, present: polars.Series, number: int, *, optional: bool) -> Field | LeftOut:
    import polars

    if present.dtype == polars.Boolean:
        return _category(name, present, reason="yes or no", optional=optional)
    whole = column.values.whole
    if whole and number == len(present) > FEW and (ID_NAMES.search(name.lower()) or _counts_on(present)):
        return "it numbers the rows: every one has another"
    if formats := _serial(name, present):
        reason = "numbers of days as spreadsheets count them" if formats[0] == "excel" else f"{formats[0]} time"
        return _moment(name, present, formats, reason=f"{reason}, by its name", optional=optional)
    kind = "whole numbers" if whole else "numbers"
    return NumberField(name, reason=f"{number:,} different {kind}", optional=optional)


def _counts_on(present: polars.Series) -> bool:
    """Whether whole numbers go on by one from 0 or 1, row after row."""
    return present[0] in (0, 1) and bool((present.diff().drop_nulls() == 1).all())


def _serial(name: str, present: polars.Series, *, sure: bool = False) -> list[str]:
    """How numbers say moments, where the name says that they do."""
    if not present.dtype.is_numeric() or not (sure or DATE_NAMES.search(name)):
        return []
    form = serial(float(present.quantile(0.01) or 0), float(present.quantile(0.99) or 0))
    return [form] if form else []


def _text(name: str, present: polars.Series, number: int, *, optional: bool) -> Field | LeftOut:
    dates = dates_of(present)
    if dates.readable and not dates.contradictory:
        return _moment(name, present, dates.forms, reason=_dated(dates, name), optional=optional)
    words = _words(present)
    share = number / len(present)
    said = f"{number:,} different texts in {len(present):,} rows"
    if dates.contradictory:
        said += f"; dates both day first and month first, {' and '.join(dates.contradictory)}, cannot be read as such"
    if number <= FEW or share <= 0.2 or (share <= 0.9 and words < 4):
        return _category(name, present, reason=said, optional=optional)
    if words >= 3:
        return WordsField(name, reason=f"{words:.0f} words a text, {share:.0%} of them different", optional=optional)
    if share > 0.9:
        return f"nearly every row has its own ({said}): it tells rows apart, and nothing of others"
    return _category(name, present, reason=said, optional=optional)


def _words(present: polars.Series) -> float:
    some = present.head(100 * LOOKED_AT).unique(maintain_order=True).head(LOOKED_AT)
    return float(np.mean(some.str.count_matches(r"\w+").to_numpy())) if len(some) else 0.0


def _dated(dates: Dates, name: str) -> str:
    """Say how dates were read, and that there was another way where both fit."""
    form, said = dates.forms[0], f"dates such as {dates.days[0]}"
    if len(dates.unread):
        said += f"; what is none counts as missing, such as {dates.unread[0]!r}"
    if not dates.undecided:
        return said
    first = "the month" if form.index("%m") < form.index("%d") else "the day"
    return f"{said}, read with {first} first; if that is wrong: --columns {name}=date:{twin(form)}"


def _moment(name: str, present: polars.Series, formats: list[str], *, reason: str, optional: bool) -> MomentField:
    seconds = MomentField(name, formats=formats).read(present)
    seconds = seconds[np.isfinite(seconds)]
    parts = [part for part in PARTS if len(seconds) and len(np.unique(part_of(seconds, part))) > 1]
    return MomentField(name, reason=reason, optional=optional, formats=formats, parts=parts)


def _category(name: str, present: polars.Series, *, reason: str, optional: bool) -> CategoryField:
    """A category with its levels: the names that recur, or all where they are few."""
    counted = present.value_counts(sort=False)
    column = counted.columns[0]
    counts: dict[str, int] = {}
    for value, count in zip(counted[column].to_list(), counted[counted.columns[1]].to_list(), strict=True):
        level = canonical(value)
        counts[level] = counts.get(level, 0) + count
    kept = sorted((level for level in counts if counts[level] > 1 or len(counts) <= FEW), key=lambda n: (-counts[n], n))
    return CategoryField(name, reason=reason, optional=optional, levels=kept, single=len(counts) - len(kept))


def field_from(config: Mapping[str, Any]) -> Field:
    """Build a field from its configuration; ConfigError for an unknown kind."""
    values = dict(config)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise unknown("kind of column", str(kind), KINDS)
    return KINDS[kind](**values)
