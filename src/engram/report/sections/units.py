"""What each convolutional stage learned: the pieces of pictures that excite its units most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from engram.explain.roles import Roles, roles
from engram.explain.units import Patch, Stage, Unit, filters, stages
from engram.predict.predictor import Predictor
from engram.report import words
from engram.report.facts import Facts
from engram.report.page import Gallery, Heading, Section, Text, Tile
from engram.report.picture import enlarged, opaque, shrunk, strip, uri

SHARE = 0.35
"""Of the time left, what this may take."""

MOST_PIXELS = 64
MOST_FILTERS = 64
TINY = 2
"""Pixels a side of a filter that can hold no line."""

TELLS = 0.9
"""Area under the ROC curve from which on a unit tells a class by itself."""


def section(facts: Facts) -> Section | None:
    """A gallery for each stage; a sentence where there is none; nothing where the task may know no pictures."""
    if not facts.task.inputs:
        return None
    found = Section("units", "What its units look for")
    if facts.thing != "picture":
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
    found.blocks += _filters(facts.predictor)
    for number, stage in enumerate(shown, 1):
        judged = _judged(facts, stage)
        found.blocks.append(Heading(f"Stage {number}: {_sight(facts, stage)}"))
        found.blocks += [_gallery(facts, stage, number, len(shown), judged), *_summed_up(facts, stage, judged)]
    return found


def _filters(predictor: Predictor) -> Iterator[Gallery]:
    """The first layer's own weights, which can be looked at as small pictures."""
    first = filters(predictor)
    if first is None or first[1].shape[1] not in (1, 3) or first[1].shape[2] < 2:
        return
    name, weight = first
    tiles = []
    for number, filter_Ckk in enumerate(weight[:MOST_FILTERS]):
        pixels = np.rint(127.5 + 127.5 * filter_Ckk / max(float(np.abs(filter_Ckk).max()), 1e-12)).transpose(1, 2, 0)
        picture = enlarged(pixels.astype(np.uint8), least=40)
        tiles.append(Tile(uri(picture), more=f"filter {number} of {name}"))
    seek = "edges, lines and spots of every direction"
    if max(weight.shape[2:]) <= TINY:
        seek = "steps of brightness from side to side, up and down, and across; so few pixels can hold no more"
    yield Gallery(
        tiles,
        f"The filters of the first layer, {name}: {len(tiles)} of {len(weight)}. Where a filter is bright it wants the "
        f"picture bright, where it is dark, dark, and mid-grey does not matter: look for {seek}.",
        "tiny",
    )


def _judged(facts: Facts, stage: Stage) -> Roles | None:
    """What the units of a stage are for; None where pictures have no single label."""
    kept = facts.kept
    if kept is None or not facts.single:
        return None
    assert kept.label is not None
    return roles(stage.values, kept.label[_order(facts)][: len(stage.values)], len(facts.names))


def _summed_up(facts: Facts, stage: Stage, judged: Roles | None) -> Iterator[Text]:
    if judged is None:
        return
    best = Counter(facts.names[c] for c, auroc in zip(judged.serves, judged.auroc, strict=True) if auroc >= TELLS)
    served = [f"{words.told(name)} ({count})" for name, count in best.most_common()]
    dead, twins = int(judged.dead.sum()), int((judged.twin >= 0).sum())
    tells = (
        f"{sum(best.values())} of {len(judged.dead)} units tell one class from all others by themselves, a picture of "
        f"it exciting them more than another nine times in ten (AUROC of {TELLS} or more): "
        f"{words.listed(served, most=10)}."
        if best
        else f"No unit here tells a class from all others by itself (AUROC of {TELLS} or more)."
    )
    yield Text(f"{tells} {words.idle(dead, twins)}", "note")


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


def _gallery(facts: Facts, stage: Stage, number: int, total: int, judged: Roles | None) -> Gallery:
    tiles = [_tile(facts, stage, unit, judged) for unit in stage.units]
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


def _tile(facts: Facts, stage: Stage, unit: Unit, judged: Roles | None) -> Tile:
    pieces = [_cut(facts, stage, patch) for patch in unit.patches]
    joined = strip(pieces, gap=max(1, pieces[0].shape[0] // 10))
    labels: Counter[str] = Counter(label for patch in unit.patches for label in _labels(facts, patch))
    more = f"unit {unit.number} of {stage.name}; strongest answer {unit.patches[0].value:.2f}"
    if judged is not None:
        served = facts.names[int(judged.serves[unit.number])]
        more += f"; tells {served} from all others with an AUROC of {judged.auroc[unit.number]:.2f}"
    return Tile(uri(joined, longest=2000), f"unit {unit.number}", _served(labels, len(unit.patches)), more)


def _labels(facts: Facts, patch: Patch) -> list[str]:
    """The label, or labels, of the picture that a piece is of."""
    place = int(_order(facts)[patch.picture])
    assert facts.kept is not None
    if facts.kept.label is not None:
        return facts.label_of(place).split(", ") if facts.kept.label.ndim > 1 else [facts.label_of(place)]
    entry = facts.known.get(int(facts.kept.rows[place]), {})
    label = entry.get("label")
    return label if isinstance(label, list) else [words.label(label)]


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
