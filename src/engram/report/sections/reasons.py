"""Why this answer: some examples with what their answers hang on, and the test of whether that is to be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engram.explain import deletion
from engram.explain.deletion import CHOSEN, PLAIN, RANDOM, SHARES, Curves
from engram.explain.question import ask
from engram.explain.why import why
from engram.report import chart, words
from engram.report.chart import Series
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Section, Text
from engram.report.sections.resembling import Resembling
from engram.report.sections.why import blocks, certainty

TELLING = 0.75
"""An answer of about this probability shows both what speaks for it and what against."""

Entry = dict[str, Any]

SHOWN = 3
TOKENS = 40
"""Of running text, after which the next token is explained."""

TESTED = 40
MOST_CHARACTERS = 400
"""A text of so many at most is shown: a longer one is more than one looks at."""


def section(facts: Facts) -> Section | None:
    """Examples and the test; nothing where answers are not to be explained, or no example is kept."""
    if facts.predictor is None:
        return None
    found = Section("why", "Why this answer")
    items = _items(facts)
    alike = Resembling(facts)
    shown = [one for entry, item in _telling(items)[:SHOWN] if (one := _example(facts, entry, item, alike))]
    if not shown:
        return None
    until = facts.left / 2
    curves = deletion.test(facts.predictor, [item for _, item in items][:TESTED], keep_going=lambda: facts.left > until)
    found.blocks += [Text(_opening(facts), "lead"), *(block for some in shown for block in some)]
    found.blocks += _tested(facts, curves) if curves is not None else []
    return found


def _opening(facts: Facts) -> str:
    return (
        f"What in these {facts.things} speaks for the answers, and what against? Parts of them were taken away, and "
        "the model was asked again. Below stands the test of whether such explanations are to be believed."
    )


def _items(facts: Facts) -> list[tuple[Entry, Any]]:
    """Examples that stand for the headline's split, each with its answer where one is kept."""
    kept = facts.kept
    if kept is None:
        return []
    if kept.tokens is not None:
        return [({}, text) for text in _beginnings(facts, kept.tokens)]
    return [(facts.known[int(kept.rows[place])], kept.values[place]) for place in facts.even]


def _beginnings(facts: Facts, token_MT: np.ndarray) -> list[str]:
    """Pieces of running text after which something comes."""
    assert facts.predictor is not None
    feature = facts.predictor.by_role.text
    return [text for ids in token_MT[:, :TOKENS].tolist() if (text := "".join(feature.pieces(ids))).strip()]


def _telling(items: list[tuple[Entry, Any]]) -> list[tuple[Entry, Any]]:
    """An answer that was right without being quite sure, the surest mistake, and a sure one; short texts alone."""
    short = [pair for pair in items if not isinstance(pair[1], str) or len(pair[1]) <= MOST_CHARACTERS]
    scored = [pair for pair in short if pair[0].get("label") is not None]
    if not scored:
        return short
    right = [pair for pair in scored if pair[0]["correct"]]
    wrong = [pair for pair in scored if not pair[0]["correct"]]
    chosen = sorted(right, key=lambda pair: abs(pair[0]["probability"] - TELLING))[:1]
    chosen += sorted(wrong, key=lambda pair: -pair[0]["probability"])[:1]
    sure = sorted(right, key=lambda pair: -pair[0]["probability"])[:1]
    return [*chosen, *(pair for pair in sure if pair[0] not in [entry for entry, _ in chosen])]


def _example(facts: Facts, entry: Entry, item: Any, alike: Resembling) -> list[Any]:
    assert facts.predictor is not None
    question = ask(facts.predictor, item)
    if question is None:
        return []
    found = why(question)
    if not entry:
        return [Heading(f"… {found.question.answer}"), *blocks(found, note=f"What comes next is {certainty(found)}.")]
    right = "is right" if entry["correct"] else f"is wrong: it is labelled {words.label(entry['label'])}"
    kind = "text" if facts.things == "texts" else "picture"
    note = f"This {words.split_name(entry['split'])} {kind} was answered with {certainty(found)}, which {right}."
    title = f"{found.question.answer}, {'right' if entry['correct'] else 'wrong'}"
    return [Heading(title), *blocks(found, note=note), *alike.blocks(item)]


def _tested(facts: Facts, curves: Curves) -> Iterator[Any]:
    """The deletion test as a chart and a verdict."""
    number = len(curves.found[CHOSEN])
    tones = {CHOSEN: "accent", PLAIN: "warn", RANDOM: "floor"}
    names = {CHOSEN: "these explanations"}
    percent = (100 * SHARES).tolist()
    series = [
        Series(names.get(name, name), percent, found.mean(0).tolist(), kind="points", tone=tones[name])
        for name, found in curves.found.items()
    ]
    yield Heading("Are these explanations to be believed?")
    yield Figure(
        chart.lines(series, x_name="% of the parts taken away", y_name=_left(facts), y_from=0.0,
                    say_y=lambda share: words.percent(share, 0)),
        f"The mean over {number} {facts.things}: what is said to speak most for the answer is taken away first. The "
        "sooner the curve falls, the better it was known what the answer hangs on. Teal: these explanations; orange: "
        "plain gradients; grey: a random order.",
    )  # fmt: skip
    yield Text(_verdict(curves))


def _left(facts: Facts) -> str:
    return "probability left of the answer"


def _verdict(curves: Curves) -> str:
    """Whether the explanations do better than chance and plain gradients."""
    said = []
    for name in (RANDOM, PLAIN):
        if name in curves.found:
            gain, low, high = curves.against(name)
            how = "better than" if low > 0 else "worse than" if high < 0 else "not shown to be better than"
            said.append(
                f"{how} {'a random order' if name == RANDOM else name} by {words.percent(abs(gain))} "
                f"(95 % interval {words.percent_span(low, high)})"
            )
    ways = words.listed([f"{name} ({count})" for name, count in curves.chosen.items()])
    return f"Over the whole way they are {words.listed(said)}. For each input the way was taken that did best: {ways}."
