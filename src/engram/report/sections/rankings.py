"""What it recommends: what some users took beside what is ranked first for them, and which items it holds alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.core.answers import Rankings
from engram.predict.predictor import Predictor
from engram.report import words
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Heading, Section, Table, Text

USERS, LATEST, BEST = 5, 5, 5
"""Users shown, of each so many of what was taken last, and so many of what is recommended."""

ASKED, ALIKE = 8, 4
"""Items, and of each so many that are like it."""

LEAST_LEFT = 0.8
"""Seconds below which nothing further is shown."""


def section(facts: Facts) -> Section | None:
    """Two tables; nothing for other tasks."""
    predictor = facts.predictor
    if predictor is None or not isinstance(facts.task.answers, Rankings) or "history" not in facts.task.inputs:
        return None
    found = Section("rankings", "What it recommends", [*_users(facts, predictor), *_alike(facts, predictor)])
    return found if found.blocks else None


def _users(facts: Facts, predictor: Predictor) -> Iterator[Any]:
    rows = []
    for history in predictor.by_role.history.remembered(USERS):
        if facts.left < LEAST_LEFT:
            break
        answer = predictor.recommend(history=history, k=BEST)
        rows.append((_titles(predictor, history["items"][-LATEST:][::-1]), _recommended(answer["items"])))
    if rows:
        yield Text(
            "Would you have recommended these? Of some users that it knows, what they took last, and what it ranks "
            "first for them among all that they have not taken.",
            "lead",
        )
        yield Table(
            ("took last", "is recommended"),
            rows,
            "Behind the arrow: what they took without which the item would have lost most of its score.",
        )


def _recommended(items: Sequence[dict[str, Any]]) -> Markup:
    """One item a line, each with what it is recommended for."""
    lines = []
    for item in items:
        reasons = [f" ← {one.get('title') or one['item']}" for one in item.get("because", ())[:1]]
        text = '<div>{title}<span class="more">{reason}</span></div>'
        lines.append(draw(text, title=item.get("title") or item["item"], reason="".join(reasons)))
    return join(lines)


def _alike(facts: Facts, predictor: Predictor) -> Iterator[Any]:
    """The most popular items, each with those for which having taken it speaks most."""
    feature = predictor.by_role.history
    popular = np.argsort(-feature.popularity, kind="stable")[:ASKED].tolist()
    rows = []
    for number in popular:
        if facts.left < LEAST_LEFT:
            break
        name = feature.catalogue.names[number]
        answer = predictor.recommend(like=name, k=ALIKE)
        rows.append((_titles(predictor, [name]), _recommended(answer["items"])))
    if rows:
        yield Heading("What goes with what")
        yield Table(
            ("who took this", "is recommended more than others"),
            rows,
            f"The {words.count(len(rows))} items that most users took, each with those whose scores rise most for "
            "somebody of whom nothing else is known.",
        )


def _titles(predictor: Predictor, names: Sequence[str]) -> Markup:
    """One item a line."""
    catalogue = predictor.by_role.history.catalogue
    return join([draw("<div>{title}</div>", title=catalogue.title(catalogue.number[name])) for name in names])
