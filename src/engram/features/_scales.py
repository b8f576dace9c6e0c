"""Scales: which names are the steps of one, as in reviews and questionnaires, and in which order."""

from __future__ import annotations

import re

SCALE_NAMES = re.compile(r"(^|_)(stars?|ratings?|scores?|grades?|severity|stage|level|ordinal)(_|$)")
"""Columns of whole numbers with such names hold steps."""

WORDS = (
    ("very negative", "negative", "somewhat negative", "slightly negative", "neutral", "mixed", "slightly positive",
     "somewhat positive", "positive", "very positive"),
    ("terrible", "awful", "bad", "poor", "mediocre", "fair", "average", "ok", "okay", "good", "very good", "great",
     "excellent"),
    ("none", "very low", "low", "medium", "moderate", "high", "very high", "critical"),
    ("strongly disagree", "disagree", "neither agree nor disagree", "neutral", "undecided", "agree", "strongly agree"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("never", "rarely", "sometimes", "often", "always"),
)  # fmt: skip

MOST_STEPS = 11


def in_order(names: set[str], *, scale: bool) -> list[str] | None:
    """Return names in the order of the scale whose steps they are; None where they evidently are none.

    Whole numbers (with or without "star" beside them) are steps where they are 1 to 5, or where `scale` says so: what
    is learned hangs on it, and ten numbered classes are as likely ten topics. Of words, three or more of one scale.
    Fewer than three are merely different.
    """
    if not 3 <= len(names) <= MOST_STEPS:
        return None
    numbers = {name: re.fullmatch(r"(\d{1,2})( ?stars?)?", name.strip().lower()) for name in names}
    if all(numbers.values()):
        place = {name: int(found[1]) for name, found in numbers.items() if found}
        starred = all(found[2] for found in numbers.values() if found)
        one_to_five = sorted(place.values()) == [1, 2, 3, 4, 5]
        return sorted(names, key=place.__getitem__) if scale or starred or one_to_five else None
    plain = {re.sub(r"[\s_-]+", " ", name.strip().lower()): name for name in names}
    for words in WORDS:
        if len(plain) == len(names) and plain.keys() <= set(words):
            return [plain[word] for word in words if word in plain]
    return None
