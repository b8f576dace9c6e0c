"""A model of running text: what surprises it, how far back it looks, and what it writes by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.core.vocabulary import BEGIN
from engram.explain.surprise import Window, by_place, windows
from engram.predict.writing import Stream, Writer
from engram.report import chart, words
from engram.report.chart import Series, draw, join
from engram.report.facts import Facts
from engram.report.page import Figure, Gallery, Heading, Section, Text, Tile

SHOWN = 2
MOST_BITS = 10.0
"""From so many bits on a token has the full colour: one in a thousand was expected."""

READ, WRITTEN = 48, 160
"""Tokens that a sample goes on from, and that it goes on with."""

SAMPLES = 3
LEAST_LEFT = 0.8
"""Seconds below which no further sample is written."""


def section(facts: Facts) -> Section | None:
    """Surprise and samples; nothing for other tasks."""
    kept, predictor = facts.kept, facts.predictor
    if predictor is None or kept is None or kept.tokens is None or kept.scored is None:
        return None
    found = windows(predictor, kept.tokens, kept.scored)
    section = Section("running-text", "What surprises it, and what it writes")
    section.blocks += [*_surprise(found), *_context(found), *_samples(facts, kept.tokens)]
    return section


def _surprise(found: Sequence[Window]) -> Iterator[Any]:
    bits = np.concatenate([window.bits for window in found])
    mean = float(np.nanmean(bits))
    yield Text(
        "The model says at each place how likely every token is to come next. Where the one that came was given "
        f"little, it is surprised: by {mean:.2f} bits on average here, as if it had to guess among {2**mean:,.1f} "
        f"equally likely ones.",
        "lead",
    )
    for window in found[:SHOWN]:
        yield Figure(
            _shaded(window),
            "A piece of text that it did not learn from. The stronger its colour, the less a token was expected; "
            "resting on one says by how many bits. What follows from the words before is faint, names and turns of "
            "thought stand out; what has no colour at the beginning was only read.",
        )


def _shaded(window: Window) -> Markup:
    pieces = []
    for piece, bits in zip(window.pieces, window.bits.tolist(), strict=True):
        if np.isnan(bits):
            pieces.append(draw("{piece}", piece=piece))
            continue
        share = round(min(bits / MOST_BITS, 1.0), 2)
        pieces.append(
            draw(
                '<span class="surprise" style="--v:{v}" title="{said}">{piece}</span>',
                v=share, said=f"{bits:.1f} bits: expected with {words.percent(2**-bits)}", piece=piece,
            )
        )  # fmt: skip
    return draw('<p class="passage running">{inside}</p>', inside=join(pieces))


def _context(found: list[Window]) -> Iterator[Figure]:
    places, means = by_place(found)
    if len(places) > 2:
        series = [Series("surprise", places, means, kind="points")]
        yield Figure(
            chart.lines(series, x_name="tokens before", y_name="bits a token", y_from=0.0, say_y="{:.2f}".format),
            "Surprise by how much text the model has seen before the token. Where the line still falls at its end, "
            "more context would help.",
        )


def _samples(facts: Facts, token_MT: np.ndarray) -> Iterator[Any]:
    """What is written on from real beginnings, as far as there is time."""
    tiles = []
    for ids in token_MT[:: max(1, len(token_MT) // SAMPLES)][:SAMPLES].tolist():
        if facts.left < LEAST_LEFT:
            break
        tiles.append(_sample(facts, ids))
    if tiles:
        yield Heading("What it writes by itself")
        yield Gallery(
            tiles,
            "After the mark ▸ it goes on by itself from a beginning that it did not learn from, drawing each token by "
            "its probability. Look whether spelling, sentences and the thread of thought hold.",
            "texts",
        )


def _sample(facts: Facts, ids: list[int]) -> Tile:
    predictor = facts.predictor
    assert predictor is not None and facts.task.answers.sampling is not None
    feature = predictor.by_role.text
    begins = [at for at, token in enumerate(ids[:READ]) if token == BEGIN]
    prompt = feature.opening(ids[begins[-1] if begins else 0 :], most=READ)
    writer = Writer(predictor.module, facts.task.answers.context, feature.tokenizer.size)
    spoken = [token for token in prompt if token < feature.tokenizer.size]  # roles are no part of what is said
    stream, written = Stream(feature.tokenizer, spoken), ""
    for token in writer.write(prompt, facts.task.answers.sampling(max_tokens=WRITTEN, seed=0)):
        written += stream.add(token)
        if facts.left < LEAST_LEFT / 2:
            break
    before = "".join(feature.pieces(prompt)).strip()
    return Tile("", text=f"{before} ▸ {(written + stream.rest()).strip()}")
