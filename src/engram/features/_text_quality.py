"""Texts that are broken, in another language than the others, or longer than is read: for the doctor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from engram.core.evidence import Finding, Fix
from engram.features._languages import language_of

LANGUAGES_LOOKED_AT = 20_000
"""Texts, evenly spread, whose language is looked at."""

MEASURED, EXAMPLES, LONGEST_SHOWN = 2000, 3, 160
"""Texts whose characters are counted, that are shown, and how many characters of each."""

MOSTLY = 0.6
"""Share of one language from which others are exceptions."""

ODD = 8.0
"""Robust standard deviations, of the logarithm, from which a text is long for its data."""

_BROKEN = {
    "mojibake": (
        rb"\xc3\x83(?:\xc2[\x80-\xbf]|\xe2\x80|\xc5[\x92\x93\xa0\xa1\xb8\xbd\xbe]|\xc6\x92|\xcb[\x86\x9c]|\xe2\x84\xa2)"
        rb"|\xc3\x82\xc2[\xa1-\xbf]|\xc3\xa2\xe2\x82\xac",
        "hold letters broken by a wrong encoding (such as \u00c3\u00a4 for \u00e4)",
        "save them again as UTF-8 from where they came, or mend the letters",
    ),
    "damaged_text": (
        rb"\xef\xbf\xbd",
        "hold \ufffd, which stands for what could not be read",
        "read them again from where they came, in the right encoding",
    ),
    "control_characters": (
        rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]",
        "hold control characters, which no reader sees",
        "remove them, unless they mean something",
    ),
}
"""Kind -> what to look for, what is said of it, what to do."""


def check(stored: Any, rows: np.ndarray) -> Iterator[Finding]:
    """Say what stands out among the texts of some rows."""
    patterns = {kind: re.compile(pattern) for kind, (pattern, _, _) in _BROKEN.items()}
    found: dict[str, list[tuple[int, str]]] = {kind: [] for kind in _BROKEN}
    wordless = []
    for row in rows.tolist():
        content = stored.arrays["utf8"][row].tobytes()
        for kind, pattern in patterns.items():
            if (kind == "control_characters" or not content.isascii()) and (seen := pattern.search(content)):
                found[kind].append((row, _around(content, seen)))
        if len(content) < 200 and not any(map(str.isalnum, content.decode("utf-8"))):
            wordless.append(row)
    for kind, places in found.items():
        _, said, fix = _BROKEN[kind]
        if places:
            fixes = tuple(
                Fix(row, "keep", f"{kind.replace('_', ' ')}: {around!r}", score=0.5) for row, around in places
            )
            yield Finding("warning", kind, f"{len(places):,} texts {said}", fix=fix, fixes=fixes)
    if wordless:
        fixes = tuple(Fix(row, "drop", "a text without a letter or digit", score=0.5) for row in wordless)
        yield Finding("info", "wordless", f"{len(wordless):,} texts have no letter and no digit", fixes=fixes)
    yield from _long(stored, rows)
    yield from _languages(stored, rows)


def _around(content: bytes, seen: re.Match[bytes]) -> str:
    """Some text around what was found."""
    return content[max(0, seen.start() - 16) : seen.end() + 16].decode("utf-8", "ignore")


def _long(stored: Any, rows: np.ndarray) -> Iterator[Finding]:
    """Texts that are absurdly long for the others."""
    if len(rows) < 20:
        return
    size = np.log(np.maximum(1, stored.sizes("utf8", rows)))
    middle = np.median(size)
    spread = max(0.3, 1.4826 * float(np.median(np.abs(size - middle))))
    odd = rows[size > middle + ODD * spread]
    if len(odd):
        fixes = tuple(Fix(int(row), "keep", "a very long text", score=0.3) for row in odd)
        message = f"{len(odd):,} texts are very long for this data (a text has {np.exp(middle):,.0f} bytes as a rule)"
        fix = "look whether they are several texts that were not taken apart"
        yield Finding("info", "long_text", message, fix=fix, fixes=fixes)


def _languages(stored: Any, rows: np.ndarray) -> Iterator[Finding]:
    """In which languages the texts are, where they are several."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), LANGUAGES_LOOKED_AT)).astype(np.int64))]
    texts = (stored.arrays["utf8"][row][:4000].tobytes().decode("utf-8", "ignore") for row in some.tolist())
    told = [(row, language) for row, text in zip(some.tolist(), texts, strict=True) if (language := language_of(text))]
    counts = Counter(language for _, language in told)
    if len(counts) < 2:
        return
    (most, number), *others = counts.most_common()
    listed = ", ".join(f"{language} {count:,}" for language, count in others[:5])
    if number < MOSTLY * len(told):
        yield Finding("info", "language_mix", f"the texts are in several languages: {most} {number:,}, {listed}")
        return
    odd = tuple(Fix(row, "keep", f"looks {language}", score=0.4) for row, language in told if language != most)
    message = f"most texts are in {most}, but {len(odd):,} of {len(told):,} that can be told are not ({listed})"
    yield Finding("info", "language_mix", message, fix="look whether they belong here", fixes=odd)


def circumstances(texts: list[str]) -> dict[str, list[str | float]]:
    """Facts of how texts were written down: length, first and last sign, capitals, spaces."""
    return {
        "length": [float(len(text)) for text in texts],
        "first sign": [_sign(text.strip()[:1]) for text in texts],
        "last sign": [_sign(text.strip()[-1:]) for text in texts],
        "case": [_case(text) for text in texts],
        "spaces": [_spaces(text) for text in texts],
    }


def traits(texts: list[str]) -> dict[str, list[Any]]:
    """What texts are like: words, language, case, last sign."""
    facts = circumstances(texts)
    return {
        "words": [float(len(text.split())) for text in texts],
        "language": [language_of(text) or "unknown" for text in texts],
        "case": facts["case"],
        "last sign": facts["last sign"],
    }


def _sign(sign: str) -> str:
    if sign.isalpha():
        return "capital" if sign.isupper() else "letter"
    return "digit" if sign.isdigit() else sign


def _case(text: str) -> str:
    return "capitals" if text.isupper() else "small letters" if text.islower() else "both"


def _spaces(text: str) -> str:
    outer = "outside" if text != text.strip() else ""
    inner = "line ends" if "\n" in text.strip() else "double" if "  " in text.strip() else ""
    return " and ".join(filter(None, [outer, inner])) or "single"


def summary(stored: Any, rows: np.ndarray, counted: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the texts of some rows are: how many, how long, and what a few of them say. counted: further lengths."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MEASURED)).astype(np.int64))]
    texts = [stored.arrays["utf8"][row].tobytes().decode("utf-8") for row in some.tolist()]
    lengths = {"characters": np.array([len(text) for text in texts]), **counted}
    shown = texts[:: max(1, len(texts) // EXAMPLES)][:EXAMPLES]
    return {
        "texts": len(rows),
        "bytes": int(stored.sizes("utf8", rows).sum()),
        **{name: _distribution(values) for name, values in lengths.items()},
        "examples": [text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…" for text in shown],
    }


def _distribution(values: np.ndarray) -> dict[str, float]:
    quantiles = np.quantile(values, (0, 0.05, 0.5, 0.95, 1))
    return dict(zip(("least", "5 %", "median", "95 %", "most"), map(float, quantiles), strict=True))
