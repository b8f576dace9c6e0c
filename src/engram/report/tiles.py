"""Kept examples as tiles: a picture, or a text."""

from __future__ import annotations

from typing import Any

from engram.report.facts import Facts
from engram.report.page import Gallery, Tile
from engram.report.picture import enlarged, uri

MOST_CHARACTERS = 280
"""Of a text in a tile; the rest is seen when the cursor rests on it."""


def tile(facts: Facts, entry: dict[str, Any], *, title: str, detail: str = "", tone: str = "", least: int = 84) -> Tile:
    """The tile of a kept example. entry: its answer. least: pixels of a picture's shorter side."""
    kept = facts.kept
    assert kept is not None
    place = kept.place(entry["row"])
    assert place is not None
    if kept.pictures is not None:
        return Tile(uri(enlarged(kept.pictures[place], least=least)), title, detail, str(entry["where"]), tone)
    text = told(kept.values[place])
    shown = shortened(text)
    more = f"{entry['where']}: {text}" if shown != text else str(entry["where"])
    return Tile("", title, detail, more, tone, text=shown)


def told(value: Any) -> str:
    """A text as it is, a row by its columns."""
    text = ", ".join(f"{name}: {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)
    return " ".join(text.split())


def shortened(text: str) -> str:
    """As much of a text as a tile holds."""
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def gallery(facts: Facts, tiles: list[Tile], caption: str, size: str = "medium") -> Gallery:
    """Tiles with a caption, in which "{things}" stands for pictures or texts."""
    return Gallery(tiles, caption.replace("{things}", facts.things), size if facts.pictures is not None else "texts")
