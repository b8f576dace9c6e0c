"""Whether stated probabilities come true, and what counts as unfamiliar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engram.evaluate.calibration import reliability
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Row, Section, Text
from engram.report.sections.errors import confused
from engram.report.tiles import gallery, tile

BINS = 40
SHOWN = 6


def section(facts: Facts) -> Section | None:
    """A reliability diagram, and the distribution of unfamiliarity."""
    stated = (facts.result.get("calibration") or {}).get("expected_calibration_error") is not None
    title = "Can its probabilities be trusted?" if stated else "Does it know what it sees?"
    found = Section("calibration", title)
    figures = [*_reliability(facts), *_unfamiliarity(facts)]
    if not figures:
        return None
    found.blocks += [Text(_said(facts), "lead"), Row(figures), *_strange(facts)]
    return found


def _said(facts: Facts) -> str:
    error = (facts.result.get("calibration") or {}).get("expected_calibration_error")
    if error is None:
        return "What is said of an input beside its answer."
    verdict = (
        "can be taken at their word"
        if error < 0.02
        else "are close to the truth"
        if error < 0.05
        else "are to be taken with care"
    )
    return (
        "When the network says 90 %, is it right nine times out of ten? Stated confidence and the share of right "
        f"answers differ by {words.percent(error)} on average (expected calibration error): its probabilities "
        f"{verdict}."
    )


def _reliability(facts: Facts) -> Iterator[Figure]:
    bins = (facts.result.get("calibration") or {}).get("bins") or ()
    if not bins:
        return
    before = _before(facts)
    more = " Grey is the network before its logits were scaled on validation data." if before else ""
    yield Figure(
        chart.reliability(bins, before),
        "Stated confidence against the share that was right; larger dots stand for more answers. On the dashed "
        f"line the network means what it says; below it, it is too sure.{more}",
    )


def _before(facts: Facts) -> list[dict[str, float]]:
    """The same bins for uncalibrated answers, worked out backwards; empty where not all probabilities are kept."""
    if (
        facts.answers is None
        or facts.predictor is None
        or facts.task.answers.calibration != "softmax"
        or not facts.names
    ):
        return []
    columns = [f"probability of {name}" for name in facts.names]
    if not set(columns) <= set(facts.answers.columns):
        return []
    probability_NC = np.clip(facts.answers.select(columns).to_numpy(), 1e-12, 1).astype(np.float32)
    module: Any = facts.predictor.module
    bias, temperature = module.bias.cpu().numpy(), float(module.temperature)
    number = {name: c for c, name in enumerate(facts.names)}
    label = np.array([number.get(name, -1) for name in facts.answers["label"].to_list()])
    return reliability((np.log(probability_NC) - bias) * temperature, label)


def _unfamiliarity(facts: Facts) -> Iterator[Figure]:
    if facts.answers is None or facts.answers["unfamiliarity"].null_count() == len(facts.answers):
        return
    values = facts.answers["unfamiliarity"].drop_nulls().to_numpy()
    if not len(values) or not np.isfinite(values).all():
        return
    low, high = float(min(np.quantile(values, 0.001), 0)), float(max(np.quantile(values, 0.999), 1.5))
    step = 1 / max(4, round(BINS / (high - low)))
    edges = np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    share = words.percent(float((values > 1).mean()))
    yield Figure(
        chart.histogram(counts.tolist(), edges.tolist(), threshold=1.0, x_name="unfamiliarity", y_name=facts.things),
        f"How far {words.split_name(facts.split)} {facts.things} are from what was learned from. 0 is typical; above "
        f"1, where 1 % of validation {facts.things} lie, an input is called unfamiliar and its answer should not be "
        f"relied on: {share} of these.",
    )


def _strange(facts: Facts) -> Iterator[Any]:
    """The least familiar examples."""
    if facts.kept is None or not facts.task.answers.are_logits:
        return
    known = [e for e in facts.known.values() if e["split"] == facts.split and (e["unfamiliarity"] or 0) > 1]
    tiles = []
    for entry in sorted(known, key=lambda e: -e["unfamiliarity"])[:SHOWN]:
        right = entry.get("correct", True)  # a number is neither right nor wrong
        title, tone = (words.label(entry["label"]), "") if right else (confused(entry), "wrong")
        tiles.append(tile(facts, entry, title=title, detail=f"{entry['unfamiliarity']:.1f}", tone=tone))
    if tiles:
        yield gallery(
            facts,
            tiles,
            "The least familiar {things} of all, with their unfamiliarity. They are rare kinds, odd cuts, or do "
            "not belong here at all.",
        )
