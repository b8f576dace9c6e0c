"""What a network for texts learned: words that it holds alike, what its units answer to, where its heads look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.explain.activations import run
from engram.explain.contexts import contexts
from engram.explain.heads import heads
from engram.explain.roles import roles
from engram.explain.vectors import embedded, excited, frequent, neighbours
from engram.report import words
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Heading, Section, Table, Text

MOST_WORDS = 800
ASKED = 12
LEAST_LETTERS = 4
UNITS = 10
WORDS_A_UNIT = 8
READ = 4
"""Texts in which heads are watched."""

LEAST_LEFT = 1.5
"""Seconds below which it is left out."""


def section(facts: Facts) -> Section | None:
    """Tables; nothing where examples are no texts."""
    if facts.predictor is None or not facts.texts or facts.left < LEAST_LEFT:
        return None
    reads_texts = all(facts.predictor.features[role].is_text for role in facts.task.inputs)
    known = frequent(facts.texts, most=MOST_WORDS) if reads_texts else []
    found = Section("inside", "What words, units and heads stand for")
    found.blocks += [*_alike(facts, known), *_units(facts, known), *_contexts(facts), *_heads(facts)]
    return found if found.blocks else None


def _alike(facts: Facts, known: list[str]) -> Iterator[Any]:
    """The neighbours of some words in the space of vectors."""
    assert facts.predictor is not None
    vector_WD = embedded(facts.predictor, known) if len(known) > ASKED else None
    if vector_WD is None:
        return
    near = neighbours(vector_WD)
    asked = [at for at, word in enumerate(known) if len(word) >= LEAST_LETTERS]
    # Those whose neighbours are closest say most of what was learned.
    chosen = sorted(asked, key=lambda at: -near[at][0][1])[: 3 * ASKED : 3]
    rows = [(known[at], ", ".join(f"{known[other]} {likeness:.2f}" for other, likeness in near[at])) for at in chosen]
    yield Heading("Words that it holds alike")
    yield Table(
        ("word", "closest words, with their cosine"),
        rows,
        "Each word enters the network as a vector. Words whose vectors point the same way are read alike: look for "
        "words of one meaning, of one use, or merely of one spelling.",
    )


def _units(facts: Facts, known: list[str]) -> Iterator[Any]:
    """The words that excite units of the last hidden layer, and the class that each serves."""
    predictor, kept = facts.predictor, facts.kept
    assert predictor is not None
    if kept is None or not facts.single or facts.left < LEAST_LEFT:
        return
    assert kept.label is not None
    value_WU = excited(predictor, known)
    places = facts.even[:300]
    value_MU = excited(predictor, [kept.values[place] for place in places]) if value_WU is not None else None
    if value_WU is None or value_MU is None:
        return
    judged = roles(value_MU, kept.label[places], len(facts.names))
    rows = []
    ranked = np.argsort(-judged.auroc, kind="stable")
    for unit in ranked[judged.twin[ranked] < 0][:UNITS].tolist():
        strongest = np.argsort(-value_WU[:, unit], kind="stable")[:WORDS_A_UNIT].tolist()
        served = facts.names[int(judged.serves[unit])]
        rows.append((str(unit), ", ".join(known[at] for at in strongest), f"{served} ({judged.auroc[unit]:.2f})"))
    dead, twins = int(judged.dead.sum()), int((judged.twin >= 0).sum())
    yield Heading("What its units answer to")
    yield Table(
        ("unit", "words that excite it most, alone", "serves"),
        rows,
        f"The {len(rows)} of {len(judged.auroc)} units of the last hidden layer that tell a class best, with the area "
        f"under the ROC curve. {words.idle(dead, twins)}",
    )


def _contexts(facts: Facts) -> Iterator[Any]:
    """The places in running text that excite units most."""
    predictor, kept = facts.predictor, facts.kept
    assert predictor is not None
    if kept is None or kept.tokens is None:
        return
    feature = predictor.features[next(iter(facts.task.inputs))]
    pieces = [feature.pieces(ids) for ids in kept.tokens[:, :-1].tolist()]
    rows = [
        (f"{one.layer}, {one.unit}", join([_marked(before, token) for before, token in one.places]))
        for one in contexts(predictor, facts.windows(len(pieces)), pieces)
    ]
    if rows:
        yield Heading("What its units answer to")
        yield Table(
            ("layer, unit", "where it is most excited"),
            rows,
            "Some units of the first, the middle and the last layer that stand out most, each with the tokens "
            "(coloured) at which they answer most, and what stands before. Look for a sign, a word or a turn that a "
            "row has in common.",
        )


def _marked(before: str, token: str) -> Markup:
    text = '<span class="context">…{before}<span class="speaks-for" style="--v:1">{token}</span></span><br>'
    return draw(text, before=" ".join(before.split()) + " " * before.endswith(" "), token=token.strip("\n") or "⏎")


def _heads(facts: Facts) -> Iterator[Any]:
    """One row a head of attention."""
    assert facts.predictor is not None and facts.kept is not None
    predictor, kept = facts.predictor, facts.kept
    found = []
    running = kept.tokens is not None
    batch = facts.windows(READ) if running else predictor.encode([max(facts.texts[:READ], key=len)])
    found = heads(lambda batch=batch: run(predictor, batch))  # type: ignore[misc]
    if not found:
        return
    rows = [
        (
            f"{one.layer}.{one.number}",
            one.said,
            f"{one.distance:.1f}",
            *(words.percent(share, 0) for share in (one.before, one.itself, one.first)),
        )
        for one in found
    ]
    yield Heading("Where its heads look")
    yield Table(
        ("layer.head", "what it does", "places away", "one before", "itself", "first"),
        rows,
        "Attention lets every place read others; each head chooses by itself. The mean over some texts that were not "
        "learned from.",
        (2, 3, 4, 5),
        "All heads" if len(rows) > 16 else "",
    )
    yield Text(
        "Heads that rest on the first place have nothing to say just there, which is common and no fault.", "note"
    )
