"""The ids that mean the same in every vocabulary, whatever a text is cut into."""

PADDING, BEGIN, END, UNKNOWN = range(4)
"""Padding, the beginning of a text, its end, and what training has never seen."""

NUM_SPECIAL = 4
"""Ids from here on are those of a tokenizer's own pieces."""
