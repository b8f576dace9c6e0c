"""Cells: from a column of texts to numbers, as people and programs of several countries write them.

What is understood in another way than plainly is said; what is no number among numbers is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engram.core.evidence import Finding

if TYPE_CHECKING:
    import polars

NOTHING = ("NA", "None", "?", "-", "--", ".", "n/a", "n.a.", "na", "none", "#VALUE!", "#DIV/0!", "#REF!", "(null)")
"""What stands for a missing value among numbers, beside what does everywhere."""

SAMPLE = 1000
FEW = 20
"""Numbers of so few different values may be classes, among which a text is one more."""

MOST_ODD = 0.05
"""So large a share of a column of numbers may be something else, and counts as missing."""

_AROUND = r"^(?:[€$£¥₹]|USD|EUR|GBP|CHF|Rs\.?)\s*|\s*(?:[€$£¥₹%]|USD|EUR|GBP|CHF|kr)$"
_GROUPS = r"[ \u00a0\u202f'’]"
_STYLES = (
    ("thousands separators", r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?", ",", ""),
    ("decimal commas", r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?|[+-]?\d*,?\d+(?:[eE][+-]?\d+)?", ".", ","),
    ("grouped digits", rf"[+-]?\d{{1,3}}(?:{_GROUPS}\d{{3}})+(?:[.,]\d+)?|[+-]?\d*[.,]?\d+", _GROUPS, ","),
)
"""How numbers are written otherwise: name, pattern, what groups digits, and what stands before a fraction."""


@dataclass(frozen=True)
class Typed:
    """A column, as numbers where it holds some. note: what was understood in another way than plainly."""

    series: polars.Series
    note: str = ""
    finding: Finding | None = None


def typed(series: polars.Series, *, name: str, decimal_comma: bool = False) -> Typed:
    """Return a column of texts as numbers if it holds such; what has a leading zero or sign stays text, and numbers are
    what they are.

    decimal_comma: whether a comma before three digits is rather a decimal one, as between semicolons.
    """
    import polars

    if series.dtype != polars.String:
        return Typed(series)
    if (numbers := plain_numbers(series)) is not None:
        return Typed(series if _coded(series) else numbers)
    given = series.set(series.is_in(NOTHING), None)
    present = given.drop_nulls()
    if not len(present) or _coded(present):
        return Typed(series)
    if len(present) < len(series) - series.null_count() and (numbers := plain_numbers(given)) is not None:
        return Typed(numbers)
    sample = present.head(100 * SAMPLE).unique(maintain_order=True).head(SAMPLE)
    if not sample.str.contains(r"\d").any():
        return Typed(series)
    (bare, around), left = _bare(given), None
    for style, numbers in _styled(bare, sample, decimal_comma=decimal_comma):
        said = [*([around] if around else []), *([style] if style else [])]
        lost = given.is_not_null() & numbers.is_null()
        odd = int(lost.sum())
        if odd and (odd > MOST_ODD * len(present) or numbers.n_unique() <= FEW):
            mostly = odd < len(present) / 2 and numbers.n_unique() > FEW
            left = left or (_mixed(name, series, lost, "so that all of them are read as texts") if mostly else None)
            continue
        note = f"The column {name} is read as numbers with {' and '.join(said)}, such as {present[0]!r}."
        return Typed(
            numbers, note if said else "", _mixed(name, series, lost, "they count as missing") if odd else None
        )
    return Typed(series, finding=left)


def _coded(present: polars.Series) -> bool:
    """Whether a text has a leading zero or a plus sign, which no number has."""
    first = present.filter(present.str.starts_with("0") | present.str.starts_with("-0") | present.str.starts_with("+"))
    first = first.filter(~(first.str.starts_with("0.") | first.str.starts_with("-0.")))
    return bool(first.str.contains(r"^(?:[+]|-?0\d)").any())


def plain_numbers(given: polars.Series) -> polars.Series | None:
    """Whole numbers or fractions, where all texts are some, and there is one."""
    import polars

    if given.null_count() == len(given):
        return None
    some = given.head(SAMPLE).str.strip_chars()
    for kind in (polars.Int64, polars.Float64):
        if some.cast(kind, strict=False).null_count() > some.null_count():
            continue
        numbers = given.cast(kind, strict=False)
        if numbers.null_count() > given.null_count():
            numbers = given.str.strip_chars().cast(kind, strict=False)
        if numbers.null_count() == given.null_count():
            return numbers
    return None


def _bare(given: polars.Series) -> tuple[polars.Series, str]:
    """The texts without currencies and percent signs, and brackets that mean below zero; and what went."""
    texts = given.str.strip_chars()
    bare = texts.str.replace_all(_AROUND, "").str.replace(r"^\((.*)\)$", "-$1")
    changed = (bare != texts).fill_null(False)
    if not changed.any():
        return texts, ""
    example = texts.filter(changed)[0]
    what = "percent signs" if "%" in example else "brackets for less than zero" if "(" in example else "a currency"
    return bare, what


def _styled(bare: polars.Series, sample: polars.Series, *, decimal_comma: bool) -> list[tuple[str, polars.Series]]:
    """The ways in which the texts may be numbers, the likeliest first."""
    import polars

    ways = [("", bare.cast(polars.Float64, strict=False))]
    first = "decimal commas" if _decimal(bare, decimal_comma) else "thousands separators"
    for style, pattern, groups, fraction in sorted(_STYLES, key=lambda style: style[0] != first):
        if groups == _GROUPS and not sample.str.contains(rf"\d{_GROUPS}\d").any():
            style = "decimal commas and points"
        texts = bare.str.replace_all(groups, "", literal=len(groups) == 1)
        texts = texts.str.replace(fraction, ".", literal=True) if fraction else texts
        fits = bare.str.contains(f"^(?:{pattern})$")
        ways.append((style, texts.set(~fits, None).cast(polars.Float64, strict=False)))
    return sorted(ways, key=lambda way: way[1].null_count())


def _decimal(bare: polars.Series, likely: bool) -> bool:
    """Whether commas are decimal ones: where one is not before three digits, or stands after a mere zero."""
    commas = bare.filter(bare.str.contains(r"^[+-]?\d*,\d+$").fill_null(False))
    sure = commas.str.contains(r"^[+-]?(?:0,|\d*,(?:\d{1,2}|\d{4,})$|\d{4,},)")
    return bool(sure.any()) or (likely and len(commas) > 0)


def _mixed(name: str, series: polars.Series, lost: polars.Series, follows: str) -> Finding:
    odd = series.filter(lost)
    kinds = odd.unique(maintain_order=True).head(5).to_list()
    message = (
        f"{len(odd):,} of {len(series):,} cells of the column {name} are no numbers as the others are, {follows}: "
        f"{', '.join(map(repr, kinds))}"
    )
    rows = lost.arg_true().head(20).to_list()
    return Finding("warning", "mixed_types", message, tuple(f"{name}[{row}]" for row in rows), "write numbers there")
