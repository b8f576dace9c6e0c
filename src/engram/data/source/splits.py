"""The names that people give to splits, as folders, as values of a column, as names of arrays."""

from __future__ import annotations

import re

_NAMES = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}

SPLITS = {name: split for split, names in _NAMES.items() for name in names}
"""Name in lower case -> "train", "val" or "test"."""


ORDER = ("train", "val", "test", "")
"""In which order rows of several splits are put; "" is no split."""


def split_named(name: str) -> str | None:
    """Return the split that a name means, in any case, or None."""
    return SPLITS.get(name.strip().lower())


def split_of_file(name: str) -> str | None:
    """Return the split that a word of a file's name means (test_2016.en, wiki.valid.tokens, train/de.txt), or None."""
    return next((split for word in re.split(r"[\W_]+", name) if (split := split_named(word))), None)
