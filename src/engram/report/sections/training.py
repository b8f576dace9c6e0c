"""How training went: loss, validation score, learning rate and speed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engram.core.rundir import DECISIONS
from engram.report import words
from engram.report.chart import Series, lines, short
from engram.report.facts import Facts
from engram.report.page import Figure, Row, Section, Text

SMOOTHED_OVER = 0.03
"""The smoothed loss is a mean over this share of training."""

TONES, COLOURS = ("floor", "accent", "warn"), ("grey", "teal", "orange")

UNLEARNED = 1e3
"""Weights that began at zero are that much smaller than their gradients until the first step has moved them."""

KEPT_UP = {
    "picture": "Changed pictures and softened labels keep it above zero.",
    "text": "Words left out and softened labels keep it above zero.",
}


def section(facts: Facts) -> Section:
    """What was decided on the way, and curves over seconds."""
    found = Section("training", "Training")
    decided = [Text(line["message"], "warning") for line in facts.run.read_lines(DECISIONS) if "message" in line]
    steps = [e for e in facts.events if e.get("event") == "step" and e.get("loss") is not None]
    if len(steps) < 2:
        found.blocks += [Text("The run keeps no record of its steps.", "note"), *decided]
        return found
    found.blocks += [Text(_described(facts, steps), "lead"), *decided]
    scores = _scores(facts, steps)
    figures = [
        _loss(facts, steps),
        _metric(facts, scores),
        _rate(facts, steps),
        _speed(facts, steps),
        _gradients(facts),
    ]
    kept = [figure for figure in figures if figure is not None and figure.body]
    found.blocks += [Row(kept[start : start + 2]) for start in range(0, len(kept), 2)]
    warnings = [str(e.get("message", "")) for e in facts.events if e.get("event") == "warning" and e.get("message")]
    found.blocks += [Text(message, "warning") for message in dict.fromkeys(warnings[:8])]
    return found


def _described(facts: Facts, steps: Sequence[dict[str, Any]]) -> str:
    last = steps[-1]
    batch = facts.plan.get("batch_size")
    said = f"{last['step']:,} steps"
    if batch:
        said += f" of {batch:,} {facts.scored}"
    if last.get("epoch"):
        said += f", {last['epoch']:g} passes over the training data"
    planned = facts.plan.get("steps")
    changed = (
        f" The plan had foreseen {planned:,} steps; the pace was adapted to the clock."
        if planned and planned != last["step"]
        else ""
    )
    return f"{said}. The loss fell from {steps[0]['loss']:.2f} to {last['loss']:.2f}.{changed}"


def _seconds(steps: Sequence[dict[str, Any]]) -> tuple[list[float], str]:
    """Where steps stand along x, and what that is called."""
    if all(isinstance(e.get("seconds"), int | float) for e in steps):
        seconds = [float(e["seconds"]) for e in steps]
        return ([s / 60 for s in seconds], "minutes") if seconds[-1] > 600 else (seconds, "seconds")
    return [float(e["step"]) for e in steps], "steps"


def _loss(facts: Facts, steps: Sequence[dict[str, Any]]) -> Figure:
    x, name = _seconds(steps)
    losses = [float(e["loss"]) for e in steps]
    width = max(1, round(SMOOTHED_OVER * len(losses)))
    smooth = [_mean(losses[max(0, i - width) : i + width + 1]) for i in range(len(losses))]
    series = [Series("loss", x, losses, tone="pale"), Series("loss, smoothed", x, smooth)]
    kept_up = f" {KEPT_UP[facts.thing]}" if facts.thing in KEPT_UP and facts.task.answers.are_logits else ""
    return Figure(
        lines(series, x_name=name, y_name="training loss", y_from=0.0),
        f"How far the network is off on the training {facts.scored}. It should fall fast, then ever more slowly, "
        f"without jumps.{kept_up}",
    )


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def _scores(facts: Facts, steps: Sequence[dict[str, Any]]) -> list[tuple[float, float, str]]:
    """(x, score, metric) of each evaluation; its time is that of the step it follows."""
    x, _ = _seconds(steps)
    found = []
    for event in facts.events:
        if event.get("event") == "evaluated" and event.get("metrics"):
            metric, value = next(iter(event["metrics"].items()))
            before = [at for at, e in zip(x, steps, strict=True) if e["step"] <= event.get("step", 0)]
            if before and isinstance(value, int | float):
                found.append((before[-1], float(value), metric))
    return found


def _metric(facts: Facts, scores: Sequence[tuple[float, float, str]]) -> Figure | None:
    if len(scores) < 2:
        return None
    metric = scores[0][2]
    _, name = _seconds([e for e in facts.events if e.get("event") == "step" and e.get("loss") is not None])
    series = [Series(words.named(metric), [s[0] for s in scores], [s[1] for s in scores], kind="points")]
    say = (lambda value: words.score(metric, value)) if metric in words.SHARES else short
    return Figure(
        lines(series, x_name=name, y_name=f"{words.named(metric)} on validation", say_y=say),
        f"The score on {facts.scored} kept out of learning. Where it gets no better while the loss still falls, the "
        "network learns by heart. The best weights are kept, not the last.",
    )


def _rate(facts: Facts, steps: Sequence[dict[str, Any]]) -> Figure:
    x, name = _seconds(steps)
    rates = [float(e.get("learning_rate") or 0) for e in steps]
    top, left = max(rates) or 1.0, (facts.plan.get("optimizer") or {}).get("final_rate")
    series = [Series("learning rate", x, [rate / top for rate in rates])]
    return Figure(
        lines(
            series, x_name=name, y_name="learning rate, share of its peak", y_from=0.0,
            say_y=lambda share: words.percent(share, 0),
        ),
        "How large the steps are."
        + ("" if left else " They go down to zero, so that training ends settled when the time is up."),
    )  # fmt: skip


def _gradients(facts: Facts) -> Figure | None:
    """The pull at the first layer, one in the middle, and the last."""
    told = [event for event in facts.events if event.get("event") == "gradients" and event.get("layers")]
    if len(told) < 2:
        return None
    names = list(told[0]["layers"])
    chosen = dict(zip(dict.fromkeys([names[0], names[len(names) // 2], names[-1]]), TONES, strict=False))
    series = [
        Series(name, *_logarithms([(event["step"], event["layers"].get(name)) for event in told]), tone=tone)
        for name, tone in chosen.items()
    ]
    said = words.listed([f"{name} ({colour})" for name, colour in zip(chosen, COLOURS, strict=False)])
    return Figure(
        lines(series, x_name="steps", y_name="gradient beside weight", say_y=lambda power: f"{10**power:.1g}"),
        f"How strongly layers are pulled, beside the size of their weights, from the first to the last: {said}. Lines "
        "that stay within some powers of ten of one another are well; one that falls far below them hardly learns.",
    )


def _logarithms(points: Sequence[tuple[float, float | None]]) -> tuple[list[float], list[float]]:
    known = [(float(x), math.log10(y)) for x, y in points if y is not None and 0 < y < UNLEARNED]
    return [x for x, _ in known], [y for _, y in known]


def _speed(facts: Facts, steps: Sequence[dict[str, Any]]) -> Figure:
    x, name = _seconds(steps)
    pairs = [
        (at, float(e["examples_per_second"])) for at, e in zip(x, steps, strict=True) if e.get("examples_per_second")
    ]
    return Figure(
        lines(
            [Series(f"{facts.scored} a second", [p[0] for p in pairs], [p[1] for p in pairs])],
            x_name=name, y_name=f"{facts.scored} a second", y_from=0.0, say_y="{:,.0f}".format,
        ),
        "How fast it went, as a mean since training began. Dips mean that the machine was busy with something else.",
    )  # fmt: skip
