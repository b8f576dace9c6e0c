"""Where it errs: confusions, the worst mistakes, labels that look wrong, and each class by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from engram.report import words
from engram.report.behind import with_data
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Section, Table, Text, Tile
from engram.report.tiles import gallery, tile

MOST_CLASSES = 30
MOST_PAIRS = 6
SHOWN = 12
Entry = dict[str, Any]


def section(facts: Facts) -> Section | None:
    """Confusions, mistakes, doubtful labels, classes; nothing for a task without classes."""
    if not facts.task.answers.are_logits:
        return None
    found = Section("errors", "Where it errs")
    if not facts.result:
        found.blocks.append(Text("Nothing was scored yet.", "note"))
        return found
    confusion = facts.result.get("confusion")
    if confusion and facts.names:
        found.blocks += _confusions(facts, np.array(confusion))
    elif facts.answers is not None and len(facts.answers):
        wrong, number = int((~facts.answers["correct"]).sum()), len(facts.answers)
        said = f"{wrong:,} of {number:,} {words.split_name(facts.split)} {facts.things}"
        found.blocks.append(Text(f"{said} have at least one label that is missed or wrongly given.", "lead"))
    if facts.kept is None:
        found.blocks.append(Text("Mistakes are not shown, because the run keeps no examples.", "note"))
    else:
        doubtful = _doubtful(facts)
        found.blocks += _worst(facts, {e["row"] for e in doubtful})
        found.blocks += _labels(facts, doubtful)
    found.blocks += _per_class(facts)
    return found


def _confusions(facts: Facts, counts: np.ndarray) -> Iterator[Any]:
    names, number = facts.names, int(counts.sum())
    wrong = number - int(np.trace(counts))
    yield Text(
        f"{wrong:,} of {number:,} answers on {words.split_name(facts.split)} {facts.things} are wrong "
        f"({words.percent(wrong / max(number, 1))}).",
        "lead",
    )
    if len(names) <= MOST_CLASSES:
        yield Figure(
            _matrix(names, counts),
            f"Each row is what the {facts.things} are, each column what was answered. The diagonal is right. "
            "Strong orange elsewhere is a mistake made often: look for pairs that are confused both ways.",
        )
    off = counts - np.diag(np.diag(counts))
    pairs = [divmod(int(flat), len(names)) for flat in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS]]
    pairs = [(a, b) for a, b in pairs if off[a, b]]
    if not pairs:
        return
    if facts.kept is not None and (
        tiles := [t for a, b in pairs if (t := _pair(facts, names[a], names[b], int(off[a, b])))]
    ):
        yield gallery(
            facts,
            tiles,
            "The most frequent confusions, each with one of the {things} that were confused so: what it is → what was "
            "said, and how often.",
        )
    else:
        rows = [(names[a], names[b], f"{off[a, b]:,}") for a, b in pairs]
        yield Table(("what it is", "what was said", "times"), rows, "The most frequent confusions.", (2,))


def _matrix(names: Sequence[str], counts: np.ndarray) -> Markup:
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    most = max(float((share - np.diag(np.diag(share))).max()), 1e-9)
    head = [draw('<th scope="col"><span>{name}</span></th>', name=name) for name in names]
    rows = []
    for a, name in enumerate(names):
        cells = [draw('<th scope="row">{name}</th>', name=name)]
        for b in range(len(names)):
            strength = share[a, b] if a == b else 0.15 + 0.85 * share[a, b] / most if counts[a, b] else 0
            cells.append(
                draw(
                    '<td class="{kind}" style="--v:{v}" title="{said}">{count}</td>',
                    kind="right" if a == b else "wrong", v=round(float(strength), 3),
                    count=f"{counts[a, b]:,}" if counts[a, b] else "",
                    said=f"{counts[a, b]:,} of {name} ({share[a, b]:.1%}) were called {names[b]}",
                )
            )  # fmt: skip
        rows.append(draw("<tr>{cells}</tr>", cells=join(cells)))
    drawn = draw(
        '<div class="scroll"><table class="confusion {size}"><thead><tr><th></th>{head}</tr></thead>'
        '<tbody>{rows}</tbody></table></div>',
        size="short" if max(map(len, names)) < 4 else "", head=join(head), rows=join(rows),
    )  # fmt: skip
    numbers = [(name, *row) for name, row in zip(names, counts.tolist(), strict=True)]
    return with_data(drawn, "confusions", ("what it is", *(f"called {name}" for name in names)), numbers)


def _pair(facts: Facts, true: str, said: str, count: int) -> Tile | None:
    for entry in _mistakes(facts):
        if entry["label"] == true and entry["predicted"] == said:
            return _tile(facts, entry, detail=f"{count:,} times" if count > 1 else "once")
    return None


def _mistakes(facts: Facts) -> list[Entry]:
    """Kept examples of the headline's split with a wrong answer, the least likely label first."""
    wrong = [
        e for e in facts.known.values() if e["split"] == facts.split and not e["correct"] and e["label"] is not None
    ]
    return sorted(wrong, key=lambda e: e["probability_of_label"] if e["probability_of_label"] is not None else 1)


def _doubtful(facts: Facts) -> list[Entry]:
    """Kept examples of any split whose label is in doubt, of those whose likes the network knows."""
    rows = [row for row in facts.doubtful if row in facts.known]
    return [facts.known[row] for row in rows if (facts.known[row]["unfamiliarity"] or 0) <= 1][: 2 * SHOWN]


def _worst(facts: Facts, elsewhere: set[int]) -> Iterator[Any]:
    """The least likely right answers, at most two of one confusion, so that more than one weakness is seen."""
    seen: Counter[tuple[str, str]] = Counter()
    chosen: list[Entry] = []
    for entry in _mistakes(facts):
        pair = (str(entry["label"]), str(entry["predicted"]))
        if entry["row"] not in elsewhere and seen[pair] < 2 and len(chosen) < SHOWN:
            seen[pair] += 1
            chosen.append(entry)
    if chosen:
        yield Heading("The worst mistakes")
        yield gallery(
            facts,
            [_tile(facts, entry) for entry in chosen],
            f"The answers on {words.split_name(facts.split)} {{things}} that were furthest off{_legend(facts)}, and "
            "how sure the network was. Ask of each whether you would have known.",
        )


def _labels(facts: Facts, doubtful: Sequence[Entry]) -> Iterator[Any]:
    if not doubtful:
        return
    yield Heading("Labels that look wrong")
    yield gallery(
        facts,
        [_tile(facts, entry) for entry in doubtful[:SHOWN]],
        "Familiar {things}, not learned from, that the network holds for another class as surely as it usually does "
        "that class's own. Some of these labels are probably wrong, or stand for something that is not in them. "
        "engram inspect DATA --fixes FILE looks for such labels among the training examples too, and proposes what "
        "to mend.",
    )
    rows = [
        (str(e["where"]), words.label(e["label"]), words.label(e["predicted"]), words.percent(e["probability"]))
        for e in doubtful
    ]
    yield Table(("where", "label", "answer", "probability"), rows, "", (3,), f"Where to find these {len(rows)}")


def _legend(facts: Facts) -> str:
    """How the names under an example are to be read."""
    return (
        ": what it is → what was said"
        if facts.task.answers.calibration == "softmax"
        else ": which labels were missed or wrong"
    )


def _tile(facts: Facts, entry: Entry, *, detail: str = "") -> Tile:
    detail = detail or words.percent(entry["probability"])
    return tile(facts, entry, title=confused(entry), detail=detail, tone="wrong")


def confused(entry: Entry) -> str:
    """What it is → what was said; for several labels what was missed and what is not there."""
    label, said = entry["label"], entry["predicted"]
    if not isinstance(label, list):
        return f"{words.label(label)} → {words.label(said)}"
    missed = [f"missed {words.listed([n for n in label if n not in said])}"] if set(label) - set(said) else []
    added = [f"not there: {words.listed([n for n in said if n not in label])}"] if set(said) - set(label) else []
    return "; ".join([*missed, *added])


def _per_class(facts: Facts) -> Iterator[Any]:
    rows = []
    for entry in facts.result.get("per_class") or ():
        shares = [
            words.percent(entry[name]) if entry.get(name) is not None else "–" for name in ("precision", "recall", "f1")
        ]
        rows.append((entry["label"], *shares, f"{entry['support']:,}"))
    if rows:
        yield Heading("Each class by itself")
        yield Table(
            ("class", "precision", "recall", "F1", facts.things),
            rows,
            "Precision: how many of the answers with this name are right. Recall: how many of this class are "
            "found. F1 is low if either is.",
            (1, 2, 3, 4),
            "All classes" if len(rows) > MOST_CLASSES else "",
        )
