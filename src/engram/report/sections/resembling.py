"""What an input resembles: the examples that were learned from and lie closest to it in the last hidden layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engram.explain.resemblance import Memory, memory
from engram.report import words
from engram.report.facts import Facts
from engram.report.page import Tile
from engram.report.picture import enlarged, uri
from engram.report.tiles import gallery, shortened, told

SHOWN = 5
MOST = 600


class Resembling:
    """The kept examples of a run as its last hidden layer sees them, looked at once."""

    def __init__(self, facts: Facts) -> None:
        kept = facts.kept
        self.facts = facts
        self.places: list[int] = []
        self.memory: Memory | None = None
        if facts.predictor is None or kept is None or kept.learned is None or not len(kept.values):
            return
        self.places = [place for place in range(len(kept)) if kept.learned[place]][:MOST]
        self.memory = memory(facts.predictor, [kept.values[place] for place in self.places])

    def blocks(self, item: Any) -> Iterator[Any]:
        """The closest examples with their labels; nothing where the network has no such layer."""
        if self.memory is None:
            return
        tiles = [self._tile(self.places[at], likeness) for at, likeness in self.memory.nearest(item, SHOWN)]
        yield gallery(
            self.facts,
            tiles,
            "The {things} learned from that the network holds closest to this one, with their labels and how close "
            "they are (cosine in the last hidden layer). Where their labels differ from the answer, it stands on a "
            "border.",
            "small",
        )

    def _tile(self, place: int, likeness: float) -> Tile:
        kept = self.facts.kept
        assert kept is not None
        label = self.facts.label_of(place)
        value = kept.values[place]
        if kept.pictures is not None:
            return Tile(uri(enlarged(value, least=56)), label, words.signed(likeness))
        return Tile("", label, words.signed(likeness), text=shortened(told(value)))
