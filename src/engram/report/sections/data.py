"""The data: how much there is of what, what was inferred from it, and what was found in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Gallery, Listing, Section, Table, Text
from engram.report.tiles import gallery, tile

MOST_CLASSES = 30
MOST_SHOWN = 20


def section(facts: Facts) -> Section:
    """Counts, reasons and findings."""
    found = Section("data", "The data")
    rows = facts.data.get("rows", {})
    if rows:
        said = words.listed([f"{count:,} for {words.split_name(name)}" for name, count in rows.items()])
        read = f"{sum(rows.values()):,} {facts.scored} were read"
        if divided := facts.data.get("divided"):  # so that one may be an example of each split
            read = f"{divided:,} {facts.things} were read and each divided among the splits, which gave as examples"
        found.blocks.append(Text(f"{read}: {said}. {_roles(rows)}", "lead"))
    found.blocks += [*_pictures(facts), *_classes(facts)]
    found.blocks += _mended(facts)
    if reasons := list(dict.fromkeys(facts.data.get("reasons") or ())):
        found.blocks.append(Text("What was inferred, and why. Each of these can be overruled when training:"))
        found.blocks.append(Listing([("info", _reason(facts, said), "") for said in reasons]))
    findings = [f for f in facts.data.get("findings") or () if f.get("kind") != "class_counts"]
    if findings:
        found.blocks.append(Text("What the check of the data found:"))
        found.blocks.append(Listing([_finding(f) for f in findings]))
    elif facts.task.inputs:  # other examples are the user's own affair, and were not checked
        found.blocks.append(Text("The check of the data found nothing to mend.", "note"))
    return found


def _roles(rows: dict[str, int]) -> str:
    if "test" in rows:
        return "Weights are learned from the training part, chosen by the validation part, and judged on the test part."
    return "Weights are learned from the training part, and chosen and judged by the validation part."


def _mended(facts: Facts) -> Iterator[Any]:
    """What fixes did to the data, and what that gained."""
    fixes = facts.data.get("fixes")
    if not fixes:
        return
    did = f"{fixes['drop']:,} rows were left out, {fixes['relabel']:,} have a new label and {fixes['keep']:,} were kept"
    gain = facts.record.get("gain") or {}
    yield Text(f"The data was seen through fixes ({fixes['file']}): {did}. {gain.get('sentence', '')}".rstrip())
    rows = [(line["where"], line["action"], line["new_label"], line["reason"]) for line in fixes.get("shown") or ()]
    if rows:
        yield Table(("where", "action", "new label", "reason"), rows, "The first rows that were changed.", (), "Rows")


def _pictures(facts: Facts) -> Iterator[Gallery]:
    """One example of each class, as the network sees it."""
    if facts.kept is None or not facts.names:
        return
    best: dict[str, dict[str, Any]] = {}
    for entry in facts.known.values():
        label = entry["label"][0] if isinstance(entry["label"], list) and entry["label"] else entry["label"]
        known = best.get(label) if isinstance(label, str) else None
        certain = entry.get("probability_of_label") or 0
        if isinstance(label, str) and (known is None or certain > (known.get("probability_of_label") or 0)):
            best[label] = entry
    tiles = []
    for name in facts.names[:MOST_SHOWN]:
        if name in best and facts.kept.place(best[name]["row"]) is not None:
            tiles.append(tile(facts, best[name], title=name, least=56))
    if tiles:
        few = f", of the first {MOST_SHOWN} classes" if len(facts.names) > MOST_SHOWN else ""
        said = f"One of the {{things}} of each class{few}: the one that the network is surest of."
        if facts.pictures is not None:
            height, width = facts.pictures.shape[1:3]
            said = (
                f"One picture of each class{few}, at the {width} × {height} pixels at which the network sees it: the "
                "one it is surest of. What cannot be seen here, it cannot see."
            )
        yield gallery(facts, tiles, said, "small")


def _classes(facts: Facts) -> Iterator[Any]:
    """How many examples each class has."""
    counts = class_counts(facts)
    if not counts:
        return
    most, said = max(counts.values()), f"{facts.things.capitalize()} of each class, over all parts."
    if len(counts) <= MOST_CLASSES and min(counts.values()) < 0.98 * most:
        items = [chart.Bar(name, count) for name, count in counts.items()]
        drawn = chart.bars(items, say=lambda value: f"{value:,.0f}")
        yield Figure(
            drawn,
            f"{said} Classes with few are learned worse and judged less surely.",
        )
    elif len(counts) <= MOST_CLASSES:
        yield Text(
            f"The {len(counts)} classes are balanced: "
            f"{words.listed([f'{n} ({c:,})' for n, c in counts.items()], most=30)}."
        )
    else:
        rows = [(name, f"{count:,}") for name, count in counts.items()]
        yield Table(
            ("class", facts.things),
            rows,
            f"{facts.things.capitalize()} of each class, over all parts.",
            (1,),
            "All classes",
        )


def class_counts(facts: Facts) -> dict[str, int]:
    """Name -> number of examples over all splits, the commonest first; empty where that was not kept."""
    for finding in facts.data.get("findings") or ():
        if finding.get("kind") == "class_counts":
            pairs = [text.rpartition(": ") for text in finding.get("where") or ()]
            return {name: int(count.replace(",", "")) for name, _, count in pairs if count.replace(",", "").isdigit()}
    return {}


def _reason(facts: Facts, said: str) -> str:
    """A reason as it was told when the data was read, where that says more."""
    told = (str(e.get("message", "")) for e in facts.events if e.get("event") == "note")
    return next((message for message in told if message.endswith(f"{said}.")), words.sentence(said))


def _finding(finding: dict[str, Any]) -> tuple[str, str, str]:
    where = [str(place) for place in finding.get("where") or ()]
    more = f"For example: {words.listed(where, most=5)}." if where else ""
    fix = str(finding.get("fix") or "")
    said = words.sentence(str(finding.get("message", "")))
    return finding.get("severity", "info"), said, " ".join(filter(None, [more, words.sentence(fix)]))
