"""Why this answer: some examples with what their answers hang on, and the test of whether that is to be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engram.evaluate import written
from engram.explain import deletion
from engram.explain.deletion import CHOSEN, PLAIN, RANDOM, SHARES, Curves
from engram.explain.question import ask
from engram.explain.why import Why, why
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

TESTED, LEAST_TESTED = 24, 8
"""Examples that are put to the test, at most and at least."""

LEAST_LEFT, SHARE = 1.0, 0.5
"""Seconds below which no further example is explained; and the share of the time left that is kept from the test."""

MOST_CHARACTERS = 400
"""A text of so many is short."""


def section(facts: Facts) -> Section | None:
    """Examples and the test, as far as there is time; nothing where answers are not to be explained."""
    if facts.predictor is None or facts.left < LEAST_LEFT:
        return None
    chosen = short(items(facts))
    alike = Resembling(facts)
    shown: list[list[Any]] = []
    for entry, item in _telling(chosen)[:SHOWN]:
        if (not shown or facts.left > LEAST_LEFT) and (one := _example(facts, entry, item, alike)):
            shown.append(one)
    if not shown:
        return None
    until = SHARE * facts.left
    curves = deletion.test(
        facts.predictor, [item for _, item in chosen][:TESTED], keep_going=lambda: facts.left > until
    )
    found = Section("why", "Why this answer", [Text(_opening(facts), "lead")])
    found.blocks += [block for some in shown for block in some]
    if curves is not None and len(curves.found[CHOSEN]) >= LEAST_TESTED:
        found.blocks += _tested(facts, curves)
    return found


def _opening(facts: Facts) -> str:
    return (
        f"What in these {facts.things} speaks for the answers, and what against? Parts of them were taken away, and "
        f"the model was asked again. engram explain RUN {facts.thing.upper()} says it of others."
    )


def items(facts: Facts) -> list[tuple[Entry, Any]]:
    """Examples that stand for the headline's split, each with its answer where one is kept."""
    kept, predictor = facts.kept, facts.predictor
    assert predictor is not None
    if kept is not None and kept.tokens is not None:
        return [({}, text) for text in _beginnings(facts, kept.tokens)]
    if kept is not None:
        return [(facts.known[int(kept.rows[place])], kept.values[place]) for place in facts.even]
    if (frame := written.read(facts.run)) is not None:
        sources = frame.filter(frame["split"] == facts.split)["source"].to_list()
        return [({}, text) for text in sources[:: max(1, len(sources) // TESTED)]]
    return [({}, {role: value}) for role in facts.task.inputs for value in predictor.features[role].remembered(TESTED)]


def short(given: list[tuple[Entry, Any]]) -> list[tuple[Entry, Any]]:
    """Of texts the short ones, or where all are long the shorter half: long ones are more than one looks at."""
    texts = [len(item) for _, item in given if isinstance(item, str)]
    most = max(MOST_CHARACTERS, float(np.median(texts))) if texts else 0
    return [pair for pair in given if not isinstance(pair[1], str) or len(pair[1]) <= most]


def _beginnings(facts: Facts, token_MT: np.ndarray) -> list[Any]:
    """Pieces of running text, or of conversations, after which something comes."""
    assert facts.predictor is not None
    feature = facts.predictor.by_role.text
    begun = [feature.begun(ids, most=TOKENS) for ids in token_MT.tolist()]
    return [item for item in begun if item is not None]


def _telling(given: list[tuple[Entry, Any]]) -> list[tuple[Entry, Any]]:
    """An answer that was right without being quite sure, the surest mistake, and a sure one, where that is known."""
    scored = [pair for pair in given if pair[0].get("label") is not None]
    if not scored or "correct" not in scored[0][0]:
        return given
    right = [pair for pair in scored if pair[0].get("correct")]
    wrong = [pair for pair in scored if not pair[0].get("correct")]
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
    title, note = _told(facts, entry, found)
    return [Heading(title), *blocks(found, note=note), *alike.blocks(item)]


def _told(facts: Facts, entry: Entry, found: Why) -> tuple[str, str]:
    """What was answered, as a heading and in a sentence."""
    answer = found.question.answer
    if not entry:
        if facts.texts:
            return f"… {answer}", f"What comes next is {certainty(found)}."
        return answer, f"One of the {facts.things} was answered with {certainty(found)}."
    which = f"This {words.split_name(entry['split'])} {facts.thing} was answered with {certainty(found)}"
    if "correct" not in entry:
        return answer, f"{which}; the truth is {entry['label']:,.4g}."
    right = "is right" if entry["correct"] else f"is wrong: it is labelled {words.label(entry['label'])}"
    return f"{answer}, {'right' if entry['correct'] else 'wrong'}", f"{which}, which {right}."


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
        chart.lines(series, x_name="% of the parts taken away", y_name=_left(curves), y_from=0.0, say_y=_said(curves)),
        f"The mean over {number} {facts.things}: what is said to speak most for the answer is taken away first. The "
        "sooner the curve falls, the better it was known what the answer hangs on. Teal: these explanations; grey: a "
        f"random order{'; orange: plain gradients' if PLAIN in curves.found else ', as there are no plain gradients'}.",
    )
    yield Text(_verdict(curves))


def _left(curves: Curves) -> str:
    return "probability left of the answer" if curves.log_odds else "how far the answer has moved"


def _said(curves: Curves) -> Callable[[float], str]:
    return (lambda share: words.percent(share, 0)) if curves.log_odds else words.amount


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
                if curves.log_odds
                else f"{how} {'a random order' if name == RANDOM else name} by {words.amount(abs(gain))} "
                f"(95 % interval {words.amount(low)} to {words.amount(high)})"
            )
    ways = words.listed([f"{name} ({count})" for name, count in curves.chosen.items()])
    return f"Over the whole way they are {words.listed(said)}. For each input the way was taken that did best: {ways}."
