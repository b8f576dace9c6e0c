"""One example followed through the network to its loss, and the loss followed back: a plain sentence a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from engram.explain.example import COPIES, Passed, Walk, walk
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Heading, Section, Step, Text, Tile
from engram.report.picture import coloured, enlarged, heat, uri

TELLING = 0.75
"""An answer of about this probability shows both what speaks for it and what against."""

MOST_CLASSES = 5
MOST_STEPS = 12
MOST_BARS = 16


def section(facts: Facts) -> Section | None:
    """The walk; a sentence where it cannot be made; nothing for a task without classes or pictures."""
    if not facts.task.answers.are_logits or facts.thing != "picture":
        return None
    found = Section("example", "One example, there and back")
    if facts.predictor is None or facts.kept is None or not facts.known:
        missing = "the network could not be opened" if facts.predictor is None else "the run keeps no scored examples"
        found.blocks.append(Text(f"No example is followed here, because {missing}.", "note"))
        return found
    ranked = _ranked(facts)
    if not ranked:
        found.blocks.append(
            Text(f"No example is followed here: none of the {facts.things} kept has a known label.", "note")
        )
        return found
    if facts.pictures is None:
        return None
    entry = ranked[0]
    classes = [facts.names.index(name) for name in _labels(entry) if name in facts.names]
    place = facts.kept.place(entry["row"])
    assert place is not None
    picture = facts.pictures[place]
    walked = walk(facts.predictor, picture, classes, copies=COPIES if facts.left > 1.5 else 2)
    if walked is None:
        return None
    found.blocks.append(Text(_opening(facts, entry), "lead"))
    steps = [*_forward(facts, picture, entry, walked)]
    backward = [*_backward(picture, walked, first=len(steps) + 1)]
    found.blocks += [Heading("Forward: from pixels to probabilities"), *steps]
    found.blocks += [Heading("Backward: from the loss to every weight"), *backward]
    return found


def _labels(entry: dict[str, Any]) -> list[str]:
    label = entry["label"]
    return label if isinstance(label, list) else [label]


def _ranked(facts: Facts) -> list[dict[str, Any]]:
    """Right answers that the network was not quite sure of, first: both sides can be seen in them."""
    known = [e for e in facts.known.values() if e["label"] and all(n in facts.names for n in _labels(e))]
    right = [e for e in known if e["correct"]] or known
    return sorted(right, key=lambda e: abs((e.get("probability_of_label") or 0) - TELLING))


def _opening(facts: Facts, entry: dict[str, Any]) -> str:
    return (
        f"This is what happens to one {words.split_name(entry['split'])} picture, labelled "
        f"{words.label(entry['label'])}, on its way through the network, and how the network would learn from it. "
        "It was chosen because the answer is right without being quite sure."
    )


def _forward(facts: Facts, picture: np.ndarray, entry: dict[str, Any], walked: Walk) -> Iterator[Step]:
    height, width, channels = picture.shape
    seen = Tile(uri(enlarged(picture, least=112), longest=224), words.label(entry["label"]), more=str(entry["where"]))
    size = f"{height * width * channels:,}"
    text = f"The picture becomes {size} numbers, brought to a common scale. Nothing else is known of it."
    yield Step(1, "The picture", text, [seen])
    number = 2
    before = None
    for passed in _shortened(walked.passed):
        tiles = [] if passed.maps is None else [Tile(uri(_map(each), longest=112)) for each in passed.maps]
        yield Step(number, _title(passed), _sentence(passed, before), tiles)
        number, before = number + 1, passed
    yield from _answer(facts, walked, number)


def _shortened(passed: list[Passed]) -> list[Passed]:
    """Blocks with maps, or hidden vectors; the last one is told with the answer. Of very many, an even choice."""
    hidden = passed[:-1]
    if len(hidden) <= MOST_STEPS:
        return hidden
    return [hidden[i] for i in np.unique(np.linspace(0, len(hidden) - 1, MOST_STEPS).astype(int))]


def _title(passed: Passed) -> str:
    return f"{passed.kind}{f', {passed.activation}' if passed.activation else ''} → {words.shape(passed.shape)}"


def _sentence(passed: Passed, before: Passed | None) -> str:
    """What this block does, beside the one before it (None for the first)."""
    active = words.percent(passed.active, 0)
    if passed.maps is None:
        return f"{math.prod(passed.shape):,} numbers are left; {active} of them are above zero."
    height, width = passed.shape[1:]
    grid = f"{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}"
    if before is None:
        does = "Each filter passes over the picture and answers where its pattern is: an edge, a step of brightness."
    elif before.shape[1:] == passed.shape[1:]:
        does = f"Another look on the same grid of {grid}: neighbouring finds are put together into larger ones."
    elif min(height, width) > 8:
        does = (
            f"Filters combine what the maps before have found. On a grid of {grid} only the strongest answers stay: "
            "where something is counts less, what it is counts more."
        )
    else:
        does = f"Coarser again, {grid}: each value now speaks for a large piece of the picture."
    shown = f"Here are {len(passed.maps)} of {passed.shape[0]} maps, pale where the pattern was found"
    return f"{does} {shown}; {active} of all values are above zero."


def _map(values_hw: np.ndarray) -> np.ndarray:
    return enlarged(coloured(values_hw), least=56)


def _answer(facts: Facts, walked: Walk, number: int) -> Iterator[Step]:
    """Logits, probabilities and the loss."""
    names = facts.names
    top = np.argsort(-walked.logits)[:MOST_CLASSES].tolist()
    several = facts.task.answers.calibration == "sigmoid"
    low = float(min(0.0, walked.logits[top].min() - 0.5))
    bars = [chart.Bar(names[c], float(walked.logits[c]), tone=_tone(walked, c)) for c in top]
    lead = f"{names[top[0]]} has the highest, {words.signed(walked.logits[top[0]])}"
    second = f"; next is {names[top[1]]} with {words.signed(walked.logits[top[1]])}" if len(top) > 1 else ""
    text = f"The last layer weighs what was found, and gives every class a number, its logit: {lead}{second}."
    yield Step(number, "Logits", text, body=chart.bars(bars, low=low, say=words.signed))
    bars = [chart.Bar(names[c], float(walked.probabilities[c]), tone=_tone(walked, c)) for c in top]
    way = (
        "A sigmoid turns each logit into a probability of its own"
        if several
        else "Softmax turns logits into probabilities"
    )
    gap = "" if several or len(top) < 2 else _gap(walked, top)
    scale = "The scale of the logits was set on validation data, so that probabilities come true."
    text = f"{way}{'' if several else ' that sum to one'}.{gap} {scale}"
    yield Step(number + 1, "Probabilities", text, body=chart.bars(bars, high=1.0, say=words.percent))
    yield Step(number + 2, "The loss", _loss(facts, walked))


def _tone(walked: Walk, number: int) -> str:
    return "accent" if walked.label[number] else "floor"


def _gap(walked: Walk, top: list[int]) -> str:
    gap = float(walked.logits[top[0]] - walked.logits[top[1]])
    return f" A lead of {gap:.2f} in logits is e^{gap:.2f} = {math.exp(min(gap, 50)):,.1f} times the probability."


def _loss(facts: Facts, walked: Walk) -> str:
    true = [facts.names[c] for c in np.flatnonzero(walked.label).tolist()]
    if facts.task.answers.calibration == "sigmoid":
        return (
            f"The loss is {walked.loss:.2f}: how surprised the network is by each yes and no, summed over all labels."
        )
    probability = float(walked.probabilities[walked.label > 0].max())
    return (
        f"The loss is {walked.loss:.2f}, because the true class, {words.listed(true)}, was given "
        f"{words.percent(probability)}: −ln({probability:.3f}) = {walked.loss:.2f}. It would be 0 with full "
        f"certainty, and {math.log(len(facts.names)):.2f} if all {len(facts.names)} classes were held equally "
        "likely."
    )


def _backward(picture: np.ndarray, walked: Walk, *, first: int) -> Iterator[Step]:
    weights = [p for p in walked.pushed if "Norm" not in p.kind] or walked.pushed
    if weights:
        shown = (
            weights
            if len(weights) <= MOST_BARS
            else [weights[i] for i in np.linspace(0, len(weights) - 1, MOST_BARS).astype(int)]
        )
        most = max(weights, key=lambda p: p.relative)
        bars = [
            chart.Bar(p.kind, p.relative, tone="accent" if p is most else "floor", note=p.name) for p in reversed(shown)
        ]
        text = (
            "The chain rule carries the loss back from the last layer to the first, and says for each weight which "
            f"way to move and how hard. Beside the size of its weights, {most.name} ({most.kind}) would be moved "
            f"most: its gradient is {most.gradient:.3g} long, its weights {most.weight:.3g}. The bars show the one "
            "divided by the other."
        )
        yield Step(first, "A push for every weight", text, body=chart.bars(bars, say=lambda v: f"{v:.3g}"))
    pictures = [
        Tile(uri(enlarged(picture, least=112), longest=224), "the picture"),
        Tile(uri(enlarged(heat(picture, walked.saliency), least=112), longest=224), "what the loss hangs on"),
    ]
    text = (
        "The same rule goes on to the pixels. Where it glows, a small change of brightness would change the loss "
        "most. (Mean over slightly noisy copies; it shows what the answer is sensitive to, not why.)"
    )
    yield Step(first + 1, "A push for every pixel", text, pictures)
    text = (
        "Training repeats this with hundreds of pictures at a time, moves every weight a little along its mean "
        "push, and begins again."
    )
    yield Step(first + 2, "One step of learning", text)
