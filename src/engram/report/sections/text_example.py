"""One text, word by word: what the answer hangs on."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from engram.explain.influence import Influence, influences
from engram.report import chart, words
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Figure, Text

MOST_BARS = 12
MOST_WORDS = 60
"""A text of so many words at most is shown: a longer one is more than one looks at."""


def blocks(facts: Facts, entries: list[dict[str, Any]]) -> list[Any]:
    """A text whose answer is right without being quite sure, its words coloured, and the strongest ones as bars.

    entries: kept answers, the most telling first.
    """
    assert facts.kept is not None and facts.kept.texts is not None and facts.predictor is not None
    kept = facts.kept.texts
    texts = {e["row"]: kept[place] for e in entries if (place := facts.kept.place(e["row"])) is not None}
    entry = next((e for e in entries if e["row"] in texts and len(texts[e["row"]].split()) <= MOST_WORDS), None)
    if entry is None:
        return [Text("No example is followed here: all texts kept are too long to be shown word by word.", "note")]
    label, found = influences(facts.predictor, texts[entry["row"]])
    ranked = sorted(found, key=lambda one: -abs(one.influence))[:MOST_BARS]
    bars = [
        chart.Bar(one.word, abs(one.influence), tone="accent" if one.influence > 0 else "warn",
                  note="for" if one.influence > 0 else "against") for one in ranked
    ]  # fmt: skip
    opening = (
        f"This {words.split_name(entry['split'])} text, labelled {words.label(entry['label'])}, was answered with "
        f"{words.label(entry['predicted'])} ({words.percent(entry['probability'])}). It was chosen because the answer "
        "is right without being quite sure."
    )
    return [
        Text(opening, "lead"),
        Figure(
            _coloured(texts[entry["row"]], found),
            f"Each word was left out in turn. Teal speaks for {label}: without it the answer would be less sure; "
            "orange against it. The stronger the colour, the more. engram predict RUN TEXT --explain shows it for any "
            "text.",
        ),
        Figure(
            chart.bars(bars, say=lambda value: f"{value:.2f}"),
            f"The words that {label} hangs on most, by how far its log-odds move without them. What several words say "
            "together is counted with each of them, and what two words say alike with neither.",
        ),
    ]


def _coloured(text: str, found: list[Influence]) -> Markup:
    """The text with a ground of colour behind each word."""
    most = max((abs(one.influence) for one in found), default=0.0) or 1.0
    pieces, at = [], 0
    for one in found:
        pieces.append(draw("{between}", between=text[at : one.start]))
        pieces.append(
            draw(
                '<span class="{kind}" style="--v:{v}" title="{said}">{word}</span>',
                kind="speaks-for" if one.influence > 0 else "speaks-against",
                v=round(abs(one.influence) / most, 3), said=f"{one.influence:+.2f}", word=one.word,
            )
        )  # fmt: skip
        at = one.end
    pieces.append(draw("{rest}", rest=text[at:]))
    return draw('<p class="passage">{inside}</p>', inside=join(pieces))
