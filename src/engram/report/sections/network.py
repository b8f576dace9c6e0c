"""The network, drawn from input through hidden layers to output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup
from torch import Tensor, nn

from engram.core.units import format_count
from engram.explain.activations import run
from engram.explain.network import Block, blocks, layers, num_parameters
from engram.predict.answering import moved
from engram.report import words
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Figure, Section, Table, Text

MOST_DRAWN = 12
UNFOLDED_ROWS = 16
SLAB, PITCH, HEIGHT, TALLEST = 92, 30, 194, 132
READABLE = 0.85
"""Of its own size, to which the drawing may shrink; on narrower pages it is moved sideways."""


def section(facts: Facts) -> Section:
    """A drawing, and a table of the blocks."""
    found = Section("network", "The network")
    if facts.predictor is None:
        found.blocks.append(
            Text(f"The network is not drawn, because it could not be opened: {facts.network_missing}", "note")
        )
        return found
    if facts.encoded is None:
        found.blocks.append(
            Text("The network is not drawn, because the run keeps no example to send through it.", "note")
        )
        return found
    seen, chain = measure(facts)
    if not chain:
        return found
    total, learned = num_parameters(facts.predictor.network)
    found.blocks.append(Text(_described(facts, seen, chain, total), "lead"))
    found.blocks.append(
        Figure(_drawing(seen, chain, last=_last(facts), maps=facts.pictures is not None), _caption(facts))
    )
    found.blocks.append(_table(chain, total, pictures=facts.pictures is not None))
    if total > learned:
        found.blocks.append(
            Text(
                f"{total - learned:,} parameters are not learned by gradient: they are set once and then stay.", "note"
            )
        )
    return found


def measure(facts: Facts) -> tuple[tuple[int, ...], list[Block]]:
    """Send one example through the bare network; return the shape of what it is given, and its blocks."""
    assert facts.predictor is not None
    predictor, network = facts.predictor, facts.predictor.network
    seen: list[tuple[int, ...]] = [()]
    assert facts.encoded is not None
    batch = moved(facts.encoded, network)

    def note(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen[:] = [tuple(value.shape[1:]) for value in arguments if isinstance(value, Tensor)][:1] or [()]

    handle = network.register_forward_pre_hook(note)
    chain = blocks(layers(network, lambda: run(predictor, batch)))
    handle.remove()
    return seen[0], chain


def _described(facts: Facts, seen: tuple[int, ...], chain: Sequence[Block], total: int) -> str:
    runs = [(kind, len(list(same))) for kind, same in groupby(_short(block.layers[0].kind) for block in chain)]
    kinds = [f"{words.count(number)} {kind}{'s' if number > 1 else ''}" for kind, number in runs]
    bending = [block.activation for block in chain if block.activation and "softmax" not in block.activation]
    functions = words.listed(list(dict.fromkeys(bending)))
    bend = f"What lets them bend instead of only scale is {functions} between them." if functions else ""
    return (
        f"{_from_to(facts, seen, chain[-1].shape)} On the way are {words.listed(kinds)} with "
        f"{format_count(total)} parameters in all. {bend}"
    )


def _from_to(facts: Facts, seen: tuple[int, ...], last: tuple[int, ...]) -> str:
    """What comes in and what leaves, in a sentence."""
    if facts.kept is not None and facts.kept.tokens is not None:
        return (
            f"{seen[-1]:,} tokens come in at once, and at each place {last[-1]:,} numbers leave, which say how likely "
            "every token of the vocabulary is to come next."
        )
    if facts.pictures is None:
        what = f"{'An' if facts.thing[0] in 'aeiou' else 'A'} {facts.thing}"
        return f"{what} comes in as {words.shape(seen) or 'one'} numbers, and leaves as {words.shape(last) or 'one'}."
    height, width, channels = facts.pictures.shape[1:]
    each = "one grey value" if channels == 1 else f"{channels} colour values"
    return (
        f"A picture comes in as {width} × {height} pixels, each with {each}, and leaves as {words.shape(last)} "
        "numbers, one for each class."
    )


def _short(kind: str) -> str:
    return kind.partition(",")[0]


def _last(facts: Facts) -> str:
    """What the network's output is called."""
    return "logits" if facts.task.answers.are_logits else "output"


def _caption(facts: Facts) -> str:
    if facts.pictures is None:
        return (
            "From left to right, each bar is the output of one block of layers, the taller the more numbers it has. "
            "Under it stand how many there are along each axis, and the activation function."
        )
    return (
        "From left to right, each slab is the output of one block of layers: its height is that of the map in "
        "pixels, its depth stands for the number of channels, which is written under it with the size of the map "
        "and the activation function. The further right, the coarser the map and the more different things are "
        "told apart."
    )


def _drawing(seen: tuple[int, ...], chain: Sequence[Block], *, last: str, maps: bool) -> Markup:
    """Slabs for maps, bars for all else, joined by arrows. last: what the last one is called. maps: whether there are
    any."""
    shown: list[tuple[str, tuple[int, ...], str, int]] = [("input", seen, "", 0)]
    shown += [(b.name, b.shape, b.activation, b.parameters) for b in _few(chain)]
    largest = max([1, *(side for _, shape, _, _ in shown if len(shape) == 3 for side in shape[1:])])
    pieces, x = [], 8.0
    for number, (name, shape, activation, parameters) in enumerate(shown):
        is_map = maps and len(shape) == 3
        glyph, span = _glyph(shape, largest if is_map else 0, x, last=number == len(shown) - 1)
        centre = round(x + span / 2, 1)
        said = f"{name}: {words.shape(shape)}" + (f", {parameters:,} parameters" if parameters else "")
        pieces.append(
            draw(
                '<g><title>{said}</title>{glyph}<text x="{c}" y="{a}" text-anchor="middle">{channels}</text>'
                '<text class="tick" x="{c}" y="{m}" text-anchor="middle">{grid}</text>'
                '<text class="faint" x="{c}" y="{b}" text-anchor="middle">{activation}</text></g>',
                said=said, glyph=glyph, c=centre, a=HEIGHT - 38, m=HEIGHT - 22, b=HEIGHT - 7,
                channels=shape[0] if shape else "", grid=words.shape(shape[1:]),
                activation="input" if number == 0 else activation or (last if number == len(shown) - 1 else ""),
            )
        )  # fmt: skip
        if number < len(shown) - 1:
            a = round(x + span + 3, 1)
            pieces.append(draw('<path class="arrow" d="M{a},72h{w}m-4,-4l4,4l-4,4"/>', a=a, w=PITCH - 10))
        x += span + PITCH
    return draw(
        '<div class="scroll"><svg class="chart network" role="img" aria-label="the network" viewBox="0 0 {w} {h}" '
        'style="min-width:{m}px;max-width:{most}px">{inside}</svg></div>',
        w=round(x - PITCH + 12), h=HEIGHT, m=round(READABLE * x), most=round(1.25 * x), inside=join(pieces),
    )  # fmt: skip


def _few(chain: Sequence[Block]) -> list[Block]:
    """Of runs of blocks with the same output shape, the last ones; so that a deep network can be drawn."""
    chosen = list(chain)
    while len(chosen) > MOST_DRAWN:
        again = [i for i in range(len(chosen) - 1) if chosen[i].shape == chosen[i + 1].shape]
        chosen.pop(again[len(again) // 2] if again else len(chosen) // 2)
    return chosen


def _glyph(shape: tuple[int, ...], largest: int, x: float, *, last: bool) -> tuple[Markup, float]:
    """A slab for (channels, h, w), a bar where there is no largest one; returned with its width."""
    tone = "last" if last else ""
    if not largest:
        tall = min(TALLEST, 20 + 6 * math.log2(1 + math.prod(shape)))
        box = '<rect class="slab {tone}" x="{x}" y="{y}" width="12" height="{h}" rx="2"/>'
        return draw(box, tone=tone, x=round(x + 18, 1), y=round(72 - tall / 2, 1), h=round(tall, 1)), 48.0
    channels, height, width = shape
    h, w = (max(9.0, SLAB * side / largest) for side in (height, width))
    w *= 0.42  # seen from the side
    sheets = min(9, max(1, round(math.log2(channels)) + 1))
    step = 4.0
    drawn = [
        draw(
            '<path class="slab {tone}" d="M{x},{y}l{w},{up}v{h}l-{w},{down}z"/>',
            tone=tone, x=round(x + step * i, 1), y=round(72 - h / 2 + 0.22 * w, 1), w=round(w, 1),
            up=round(-0.44 * w, 1),
            h=round(h, 1), down=round(0.44 * w, 1),
        )
        for i in range(sheets)
    ]  # fmt: skip
    return join(drawn), max(w + step * (sheets - 1), 44.0)


def _table(chain: Sequence[Block], total: int, *, pictures: bool) -> Table:
    rows = []
    for number, block in enumerate(chain, 1):
        share = block.parameters / max(total, 1)
        rows.append(
            (
                str(number),
                " → ".join(_kinds(block)),
                words.shape(block.shape),
                draw(
                    '<span class="share" style="--v:{v}">{text}</span>', v=round(share, 4), text=f"{block.parameters:,}"
                ),
            )
        )
    axes = " Output is channels × height × width." if pictures else ""
    return Table(
        ("", "layers, in the order in which they are used", "output", "parameters"),
        rows,
        f"Every block: a layer with weights and what follows it.{axes} The line under a number of parameters is its "
        "share of all of them.",
        (2, 3),
        "All layers" if len(rows) > UNFOLDED_ROWS else "",
    )


def _kinds(block: Block) -> list[str]:
    kinds = [layer.kind for layer in block.layers]
    return [
        kind if count == 1 else f"{count} × {kind}" for kind, count in ((k, len(list(g))) for k, g in groupby(kinds))
    ]
