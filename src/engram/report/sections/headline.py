"""The headline: what was made, how good it is, and how that stands beside the floors."""

from __future__ import annotations

from typing import Any

from engram.core.units import format_count, format_duration
from engram.explain.network import num_parameters
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Section, Table, Text


def subtitle(facts: Facts) -> str:
    """One sentence: what it is."""
    what = f"A model that {facts.task.does}" if facts.task.does else f"A network for {words.named(facts.task.name)}"
    what = what.format(classes=f"{len(facts.names):,}" if facts.names else "several")
    rows = facts.data.get("rows", {}).get("train")
    return f"{what}, learned from {rows:,} {facts.scored}." if rows else f"{what}."


def section(facts: Facts) -> Section:
    """Score, interval, floors, verdict and time."""
    found = Section("result", "The result")
    if not facts.metric:
        found.blocks.append(Text("This run holds no scores yet: its training has not ended.", "warning"))
        return found
    beside = [_picture(facts)] if facts.result.get("floors") else []
    found.blocks += [Text(verdict(facts), "lead"), *beside, *_all(facts), Text(_spent(facts))]
    return found


def scores(facts: Facts) -> list[tuple[str, str, str, str]]:
    """One row a metric: its name, what is delivered, the interval, and beside it the network alone and the floors."""
    found = []
    for metric, score in (facts.result.get("metrics") or {}).items():
        beside = {"the network alone": facts.result.get("network") or {}, **(facts.result.get("floors") or {})}
        told = [
            f"{words.named(name)}: {words.score(metric, theirs[metric]['value'])}"
            for name, theirs in beside.items()
            if metric in theirs
        ]
        value = words.score(metric, score["value"])
        found.append((words.named(metric), value, words.interval(metric, score), "; ".join(told)))
    return found


def _all(facts: Facts) -> list[Table]:
    rows = scores(facts)
    head = ("score", "delivered", "95 % interval", "beside it")
    return [Table(head, rows, "", (), f"All {words.count(len(rows))} scores")] if len(rows) > 1 else []


def verdict(facts: Facts) -> str:
    """How good it is and whether that is more than a floor reaches, in plain sentences."""
    metric, score = facts.metric, facts.result["metrics"][facts.metric]
    low = "" if facts.higher_is_better else ", the lower the better"
    said = (
        f"On {facts.result['num_examples']:,} {words.split_name(facts.split)} {facts.scored} {facts.task.unseen}, the "
        f"{words.named(metric)} of {_delivered(facts)} is {words.score(metric, score['value'])}{low} (95 % "
        f"interval {words.interval(metric, score)})."
    )
    floor, alone = best_floor(facts), _alone(facts)
    if floor is None:
        return f"{said}{alone} No simple model was fitted to compare it with."
    name, beside = floor
    if (facts.record.get("competed") or {}).get("chosen") == "floor" and facts.record["competed"]["floor"] == name:
        return f"{said} That is a simple model, delivered because the network adds nothing to it.{alone}"
    against = (facts.result.get("against_floors") or {}).get(name, {}).get("verdict") or _by_intervals(
        facts, score, beside
    )
    value = words.score(metric, beside["value"])
    best = f"the best simple model, {words.named(name)}"
    if against == "better":
        return f"{said} {best[:1].upper()}{best[1:]}, reaches {value}{_fewer(facts, score, beside)}.{alone}"
    if against == "worse":
        instead = "use that, or give the network more time or data"
        return f"{said} A simple model, {words.named(name)}, does better with {value}: {instead}.{alone}"
    return f"{said} That is not shown to be better than {best}: {value}.{alone}"


def _delivered(facts: Facts) -> str:
    """What answers: the network, or what it is blended with."""
    competed = facts.record.get("competed") or {}
    if competed.get("chosen") == "blend":
        share = f"{words.percent(competed['share'], 0)} network and {words.percent(1 - competed['share'], 0)}"
        return f"a blend ({share} {words.named(competed['floor'])})"
    return words.named(competed["floor"]) if competed.get("chosen") == "floor" else "the network"


def _alone(facts: Facts) -> str:
    network = (facts.result.get("network") or {}).get(facts.metric)
    return f" The network alone reaches {words.score(facts.metric, network['value'])}." if network else ""


def best_floor(facts: Facts) -> tuple[str, dict[str, Any]] | None:
    """Return (name, score) of the strongest floor by the first metric."""
    scored = {
        name: scores[facts.metric]
        for name, scores in (facts.result.get("floors") or {}).items()
        if facts.metric in scores
    }
    if not scored:
        return None
    sign = 1 if facts.higher_is_better else -1
    return max(scored.items(), key=lambda item: sign * item[1]["value"])


def _by_intervals(facts: Facts, score: dict[str, Any], beside: dict[str, Any]) -> str:
    """Judge by the intervals, where no paired comparison was kept."""
    above, below = score["low"] > beside["high"], score["high"] < beside["low"]
    if not facts.higher_is_better:
        above, below = below, above
    return "better" if above else "worse" if below else "no difference"


def _fewer(facts: Facts, score: dict[str, Any], beside: dict[str, Any]) -> str:
    """How much smaller the error is, where the metric is a share of right answers."""
    wrong, theirs = 1 - score["value"], 1 - beside["value"]
    if facts.metric != "accuracy" or theirs <= 0:
        return ""
    return f"; there are {words.percent(1 - wrong / theirs, 0)} fewer mistakes than that"


def _picture(facts: Facts) -> Figure:
    metric = facts.metric
    score = facts.result["metrics"][metric]
    alone = (facts.result.get("network") or {}).get(metric)
    first = "the network" if alone is None else "what is delivered"
    items = [chart.Bar(first, score["value"], score["low"], score["high"], note="delivered" if alone is None else "")]
    if alone is not None:
        items.append(chart.Bar("the network alone", alone["value"], alone["low"], alone["high"], "floor"))
    floors = {name: of[metric] for name, of in (facts.result.get("floors") or {}).items() if metric in of}
    for name, floor in sorted(floors.items(), key=lambda pair: pair[1]["value"], reverse=facts.higher_is_better):
        items.append(chart.Bar(words.named(name), floor["value"], floor["low"], floor["high"], "floor", "floor"))
    high = 1.0 if metric in words.SHARES else None
    drawn = chart.bars(items, high=high, say=lambda value: words.score(metric, value))
    direction = "longer" if facts.higher_is_better else "shorter"
    return Figure(
        drawn,
        f"The {words.named(metric)} of {first} and of simple models that need no deep learning (floors); {direction} "
        f"is better. {words.about(metric)}The thin line on a bar is the 95 % interval: where another draw "
        f"of as many {facts.scored} would put it.",
    )


def _spent(facts: Facts) -> str:
    """Size and time, predicted and taken."""
    parts = []
    if facts.predictor is not None:
        total, learned = num_parameters(facts.predictor.network)
        fixed = f", {learned:,} of them learned" if learned != total else ""
        parts.append(f"The network has {format_count(total)} parameters{fixed}.")
    taken, predicted = facts.record.get("seconds"), facts.plan.get("predicted_seconds")
    if taken:
        said = (
            f"Everything took {format_duration(taken)} on {words.device(str(facts.plan.get('device', 'this machine')))}"
        )
        if predicted:
            said += f"; the plan had predicted {format_duration(predicted)}"
        if budget := (facts.record.get("options") or {}).get("budget"):
            said += f" within a budget of {format_duration(budget)}"
        parts.append(f"{said}.")
    if len(views := facts.record.get("delivered", {}).get("views", ())) > 1:
        parts.append(f"Each answer is the mean over {len(views)} views of the picture ({words.listed(views)}).")
    return " ".join(parts)
