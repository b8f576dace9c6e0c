"""Why an answer was given: the input with its parts coloured, and what would change the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.explain.why import Why
from engram.report import chart, words
from engram.report.chart import draw, join
from engram.report.page import Figure, Text
from engram.report.picture import as_png, enlarged, signed, uri

MOST_BARS = 10
MOST_NAMED = 12
LEAST_PIXELS = 168


def blocks(why: Why, *, note: str = "") -> list[Any]:
    """What an answer hangs on, drawn as the input has its shape. note: to be said first, of the input."""
    draws = {"pixels": _picture, "words": _passage}.get(why.question.parts.kind, _bars_alone)
    return [*([Text(note)] if note else []), *draws(why), *_changing(why)]


def certainty(why: Why) -> str:
    """The answer with its probability, or its value."""
    answer, claim = why.question.answer, why.question.claim
    return f"{answer} ({words.percent(float(why.curve[0]))} {claim.each}".rstrip() + ")" if claim.log_odds else answer


def _picture(why: Why) -> Iterator[Any]:
    picture, drawn = pictures(why)
    body = draw(
        '<div class="tiles few">{pair}</div>',
        pair=join([_image(uri(enlarged(picture, least=LEAST_PIXELS), longest=448), "the picture"),
                   _image(uri(enlarged(drawn, least=LEAST_PIXELS), longest=448), "what the answer hangs on")]),
    )  # fmt: skip
    yield Figure(
        body,
        f"What speaks for {why.question.answer} is teal, what speaks against it orange; grey says little. Each square "
        f"was judged by {_way(why)}.",
    )


def pictures(why: Why) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture as the network sees it, and under colours; uint8 (H, W, C)."""
    whole = why.question.parts.whole
    scaled = why.influence / max(float(np.abs(why.influence).max()), 1e-12)
    influence_HW = np.zeros(whole.shape[:2])
    for (top, bottom, left, right), value in zip(why.question.parts.places.tolist(), scaled, strict=True):
        influence_HW[top:bottom, left:right] = value
    return whole, signed(whole, influence_HW)


def _image(address: str, name: str) -> Markup:
    return draw(
        '<div class="tile"><img src="{uri}" alt="{name}"><span class="title">{name}</span></div>',
        uri=address, name=name,
    )  # fmt: skip


def _way(why: Why) -> str:
    return {
        "occlusion": "taking it away with its neighbours and asking again",
        "many orders": "taking all away in many orders and asking after each",
        "integrated gradients": "gradients added up on the way from nothing to this input",
    }[why.method]


def _passage(why: Why) -> Iterator[Any]:
    yield Figure(
        _coloured(why),
        f"Each word was judged by {_way(why)}. Teal speaks for {why.question.answer}: "
        "without it the answer would be less sure; orange speaks against it. The stronger the colour, the more.",
    )
    if len(why.influence) > 1:
        yield _bars(why)


def _bars_alone(why: Why) -> Iterator[Any]:
    yield _bars(why)


def _bars(why: Why) -> Figure:
    says = ("for", "against") if why.question.claim.log_odds else ("raises it", "lowers it")
    ranked = np.argsort(-np.abs(why.influence), kind="stable")[:MOST_BARS].tolist()
    bars = [
        chart.Bar(why.question.parts.names[at], abs(float(why.influence[at])),
                  tone="accent" if why.influence[at] > 0 else "warn",
                  note=says[0] if why.influence[at] > 0 else says[1]) for at in ranked
    ]  # fmt: skip
    unit = "its log-odds move" if why.question.claim.log_odds else "it moves"
    return Figure(
        chart.bars(bars, say=lambda value: f"{value:.3g}"),
        f"What {why.question.answer} hangs on most, by how far {unit} without it. What several parts say together is "
        "counted with each of them, and what two say alike with neither.",
    )


def _coloured(why: Why) -> Markup:
    """The text with a ground of colour behind each word."""
    text, most = str(why.question.parts.whole), max(float(np.abs(why.influence).max()), 1e-12)
    pieces, at = [], 0
    for (start, end), value in zip(why.question.parts.places.tolist(), why.influence.tolist(), strict=True):
        pieces.append(draw("{between}", between=text[at:start]))
        pieces.append(
            draw(
                '<span class="{kind}" style="--v:{v}" title="{said}">{word}</span>',
                kind="speaks-for" if value > 0 else "speaks-against",
                v=round(abs(value) / most, 3), said=f"{value:+.2f}", word=text[start:end],
            )
        )  # fmt: skip
        at = end
    pieces.append(draw("{rest}", rest=text[at:]))
    return draw('<p class="passage">{inside}</p>', inside=join(pieces))


def _changing(why: Why) -> Iterator[Text]:
    parts, number = why.question.parts, len(why.changing)
    if not why.alternatives:
        return
    if not number:
        yield Text("Whatever of it is taken away, the answer stays.", "note")
        return
    told = [f"“{parts.names[at]}”" for at in why.changing]
    named = f" ({words.listed(told, most=MOST_NAMED)})" if parts.kind != "pixels" else ""
    what = {"pixels": "squares", "words": "words"}.get(parts.kind, "parts")
    yield Text(
        f"Without {words.count(number)} of {len(parts.names):,} {what}{named} the answer would be {why.instead}."
    )


def png(why: Why) -> bytes:
    """The picture under colours, as a file."""
    return as_png(enlarged(pictures(why)[1], least=LEAST_PIXELS))
