"""What each convolutional stage learned: the pieces of pictures that excite its units most."""

from __future__ import annotations

from collections import Counter

import numpy as np

from engram.explain.units import Patch, Stage, Unit, stages
from engram.report import words
from engram.report.facts import Facts
from engram.report.page import Gallery, Heading, Section, Text, Tile
from engram.report.picture import opaque, shrunk, strip, uri

SHARE = 0.6
"""Of the time left, what this may take."""

MOST_PIXELS = 64


def section(facts: Facts) -> Section | None:
    """A gallery for each stage; a sentence where there is none; nothing where the task may know no pictures."""
    if not facts.task.inputs:
        return None
    found = Section("units", "What its units look for")
    if facts.things == "texts":
        return None
    if facts.predictor is None or facts.pictures is None:
        missing = "the network could not be opened" if facts.predictor is None else "the run keeps no pictures"
        found.blocks.append(Text(f"What the units look for is not shown, because {missing}.", "note"))
        return found
    shown = stages(facts.predictor, _mixed(facts), seconds=max(0.2, SHARE * facts.left))
    if not shown:
        text = "This network has no convolutions over pictures, so no pieces of pictures can be shown for its units."
        found.blocks.append(Text(text, "note"))
        return found
    found.blocks.append(
        Text(
            "A unit is one channel of a layer: a detector that answers wherever its pattern is. These are the "
            f"pieces of {shown[0].num_pictures:,} real pictures that excite some units most, the strongest first, "
            "each cut out to the pixels that the unit sees. Go down the stages: first edges, then parts, then "
            "whole things.",
            "lead",
        )
    )
    for number, stage in enumerate(shown, 1):
        found.blocks += [Heading(f"Stage {number}: {_sight(facts, stage)}"), _gallery(facts, stage, number, len(shown))]
    return found


def _mixed(facts: Facts) -> np.ndarray:
    """The kept pictures in an order without order, so that the first ones stand for all."""
    assert facts.pictures is not None
    return facts.pictures[_order(facts)]


def _order(facts: Facts) -> np.ndarray:
    assert facts.kept is not None
    return np.random.default_rng(0).permutation(len(facts.kept))


def _sight(facts: Facts, stage: Stage) -> str:
    assert facts.pictures is not None
    height, width = facts.pictures.shape[1:3]
    if stage.field[0] >= height and stage.field[1] >= width:
        return "sees the whole picture"
    return f"sees {stage.field[1]} × {stage.field[0]} pixels"


def _gallery(facts: Facts, stage: Stage, number: int, total: int) -> Gallery:
    tiles = [_tile(facts, stage, unit) for unit in stage.units]
    share = (
        stage.field[0] * stage.field[1] / max(1, int(np.prod(facts.pictures.shape[1:3])))
        if facts.pictures is not None
        else 1
    )
    what = (
        "Look for one edge, line or change of brightness that all pieces of a row share"
        if number == 1 and total > 1
        else "Look for the part of a thing that the pieces of a row share"
        if share < 0.9
        else "Look for the kind of whole thing that a row has in common"
    )
    caption = (
        f"{len(tiles)} of {stage.shape[0]} units of {stage.name} ({stage.kind}), one a row. {what}; under it stands "
        "what the pictures are. Blank is what lies beyond the edge of a picture."
    )
    return Gallery(tiles, caption, "wide")


def _tile(facts: Facts, stage: Stage, unit: Unit) -> Tile:
    pieces = [_cut(facts, stage, patch) for patch in unit.patches]
    joined = strip(pieces, gap=max(1, pieces[0].shape[0] // 10))
    rows = [_row(facts, patch) for patch in unit.patches]
    labels: Counter[str] = Counter()
    for row in rows:
        label = facts.known[row]["label"] if row in facts.known else None
        labels.update(label if isinstance(label, list) else [words.label(label)])
    more = f"unit {unit.number} of {stage.name}; strongest answer {unit.patches[0].value:.2f}"
    return Tile(uri(joined, longest=2000), f"unit {unit.number}", _served(labels, len(rows)), more)


def _served(labels: Counter[str], total: int) -> str:
    """Which classes a unit's pieces come from."""
    if not labels:
        return ""
    label, count = labels.most_common(1)[0]
    if count == total:
        return f"all {words.told(label)}"
    if 2 * count >= total:
        return f"{count} of {total} {words.told(label)}"
    return f"mixed: {words.listed([f'{number} {words.told(name)}' for name, number in labels.most_common()], most=3)}"


def _row(facts: Facts, patch: Patch) -> int:
    assert facts.kept is not None
    return int(facts.kept.rows[_order(facts)[patch.picture]])


def _cut(facts: Facts, stage: Stage, patch: Patch) -> np.ndarray:
    """The pixels that the unit sees, on a transparent ground where it looks beyond the picture's edge."""
    assert facts.pictures is not None
    picture = opaque(facts.pictures[_order(facts)[patch.picture]])
    piece = picture[patch.top : patch.bottom, patch.left : patch.right]
    height, width = stage.field
    ground = np.zeros((max(height, len(piece)), max(width, piece.shape[1]), 4), np.uint8)
    top = len(ground) - len(piece) if patch.top == 0 else 0
    left = ground.shape[1] - piece.shape[1] if patch.left == 0 else 0
    ground[top : top + len(piece), left : left + piece.shape[1]] = piece
    return shrunk(ground, most=MOST_PIXELS)
