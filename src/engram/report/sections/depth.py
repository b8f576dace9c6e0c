"""How the answer takes shape: how well a weighted sum tells it after each layer."""

from __future__ import annotations

import numpy as np

from engram.explain.activations import INPUT, levels
from engram.explain.probe import Probed, probe
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Section, Text

MOST = 600
"""Examples that are sent through the network."""

LEAST_LEFT = 1.5
"""Seconds below which it is left out."""


def section(facts: Facts) -> Section | None:
    """A bar a layer; nothing where examples have no single label, or there is no time."""
    kept, predictor = facts.kept, facts.predictor
    if predictor is None or kept is None or not facts.single or facts.left < LEAST_LEFT:
        return None
    chosen = facts.even[: MOST // 2 if facts.texts else MOST]
    assert kept.label is not None
    label = kept.label[chosen]
    probed = probe(levels(predictor, [kept.values[place] for place in chosen]), label)
    if len(probed) < 2:
        return None
    commonest = float(np.bincount(label[label >= 0]).max() / max(1, (label >= 0).sum()))
    bars = [
        chart.Bar(one.kind, one.accuracy, one.low, one.high, "floor" if one.name == INPUT else "accent", one.name)
        for one in probed
    ]
    found = Section("depth", "How the answer takes shape")
    found.blocks += [
        Text(_said(facts, probed, len(chosen), commonest), "lead"),
        Figure(
            chart.bars(bars, high=1.0, say=words.percent),
            "From the input at the top to the last layer: the share of held-out examples whose class can be read off "
            "each layer by a weighted sum of it, and the 95 % interval. Where a bar grows, the layer has made the "
            "classes easier to tell apart; what comes after can only use what is left.",
        ),
    ]
    return found


def _said(facts: Facts, probed: list[Probed], number: int, commonest: float) -> str:
    first, best = probed[0], max(probed, key=lambda one: one.accuracy)
    return (
        f"Deep learning finds features layer by layer. After each one a weighted sum was fitted on one half of "
        f"{number:,} {facts.things} kept, and tried on the other. From {first.kind} ({first.name}) it tells "
        f"{words.percent(first.accuracy)}, at best ({best.name}) {words.percent(best.accuracy)}; the commonest class "
        f"alone would give {words.percent(commonest)}."
    )
