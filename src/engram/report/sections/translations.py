"""What it writes: translations beside the references, how length matters, and where the network looks as it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from markupsafe import Markup

from engram.core.vocabulary import END
from engram.evaluate import written
from engram.report import chart, words
from engram.report.chart import draw, join
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Section, Table, Text

if TYPE_CHECKING:
    import polars

SHOWN = 5
LOOKS = 3
LONGEST_LOOK = 16
"""Tokens of a sentence that is drawn: more do not fit a page."""

BY_LENGTH = 5
"""Groups of about equal size, from short sources to long ones."""


def section(facts: Facts) -> Section | None:
    """Examples, score by length, attention; nothing for a task that does not write."""
    if not facts.task.answers.written or (frame := written.read(facts.run)) is None:
        return None
    frame = frame.filter(frame["split"] == facts.split)
    metric = facts.task.metrics[-1].name
    ranked = frame.filter(frame[metric].is_not_nan()).sort(metric, descending=True)
    if not len(ranked):
        return None
    found = Section("written", "What it writes")
    found.blocks += [Text(_scored_by(facts), "note"), *_examples(ranked, metric)]
    found.blocks += _by_length(ranked, metric)
    found.blocks += _looks(facts, ranked, metric)
    return found


def _scored_by(facts: Facts) -> str:
    """How the scores were counted, as others can repeat it."""
    signed = [(metric.name, metric.signature) for metric in facts.task.metrics if hasattr(metric, "signature")]
    listed = ", ".join(f"{words.named(name)} {signature}" for name, signature in signed)
    return (
        f"Scores are counted as sacrebleu counts them, on texts as they are: {listed}. Answers were searched for with "
        f"{facts.task.options().beam} hypotheses each."
    )


def _examples(ranked: polars.DataFrame, metric: str) -> Iterator[Any]:
    middle = max(0, len(ranked) // 2 - SHOWN // 2)
    parts = {
        "The best": ranked.head(SHOWN),
        "Typical ones": ranked.slice(middle, SHOWN),
        "The worst": ranked.tail(SHOWN).reverse(),
    }
    for title, some in parts.items():
        rows = [
            (entry["source"], entry["answer"], entry["target"], words.score(metric, entry[metric]))
            for entry in some.iter_rows(named=True)
        ]
        yield Heading(f"{title}, by {words.named(metric)} of the sentence")
        yield Table(("source", "the network", "reference", words.named(metric)), rows, numeric=(3,))


def _by_length(ranked: polars.DataFrame, metric: str) -> Iterator[Any]:
    length = np.array([len(text.split()) for text in ranked["source"]])
    score = ranked[metric].to_numpy()
    edges = np.unique(np.quantile(length, np.linspace(0, 1, BY_LENGTH + 1)[1:-1], method="lower"))
    group = np.searchsorted(edges, length)
    groups = [np.flatnonzero(group == number) for number in np.unique(group)]
    if len(groups) < 2:
        return
    bars = [
        chart.Bar(_span(length[some]), float(score[some].mean()), *_interval(score[some]), note=f"{len(some):,} texts")
        for some in groups
    ]
    drawn = chart.bars(bars, say=lambda value: words.score(metric, value))
    yield Heading("Short and long sources")
    yield Figure(
        drawn,
        f"Mean {words.named(metric)} of a sentence, by the number of words of its source; the thin line is the 95 % "
        "interval.",
    )


def _span(length: np.ndarray) -> str:
    low, high = int(length.min()), int(length.max())
    return f"{low} words" if low == high else f"{low} to {high} words"


def _interval(score: np.ndarray) -> tuple[float, float]:
    error = 1.96 * float(score.std()) / len(score) ** 0.5
    return float(score.mean()) - error, float(score.mean()) + error


def _looks(facts: Facts, ranked: polars.DataFrame, metric: str) -> Iterator[Any]:
    """Where the network looks as it writes a few answers that are good, but no plain copy of what it learned."""
    look = getattr(facts.predictor and facts.predictor.network, "attention", None)
    if look is None or facts.left < 1.0:
        return
    drawn: list[Markup] = []
    for entry in ranked.slice(len(ranked) // 4, 20 * LOOKS).iter_rows(named=True):
        tokens = _tokens(facts, entry["source"], entry["answer"])
        if len(drawn) < LOOKS and all(4 <= len(ids) <= LONGEST_LOOK for ids in tokens):
            drawn.append(_matrix(facts, *tokens, look=look))
    if drawn:
        yield Heading("Where it looks as it writes")
        yield Figure(
            join(drawn),
            "Each row is a piece of the translation, each column a piece of the source: the stronger the colour of a "
            "cell, the more the last layer looked there as it wrote. Words that change their places leave the "
            "diagonal.",
        )


def _tokens(facts: Facts, source: str, answer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids of a source, and those of an answer from BEGIN to END."""
    assert facts.predictor is not None
    features = facts.predictor.by_role
    roles = ((features.source, source), (features.target, answer))
    found = [feature.encode({"utf8": [np.frombuffer(text.encode(), np.uint8)]})[0] for feature, text in roles]
    return found[0], found[1]


def _matrix(facts: Facts, source: torch.Tensor, target: torch.Tensor, *, look: Any) -> Markup:
    assert facts.predictor is not None
    device = facts.predictor.device
    weight_TS = look(source[None].to(device), target[None, :-1].to(device))[0].float().cpu().numpy()[:, 1:]
    pieces, ours = (_pieces(facts, ids[1:].tolist()) for ids in (source, target))
    head = [draw('<th scope="col"><span>{piece}</span></th>', piece=piece) for piece in pieces]
    most = max(float(weight_TS.max()), 1e-9)
    rows = [
        draw(
            '<tr><th scope="row">{piece}</th>{cells}</tr>',
            piece=piece,
            cells=join(
                [
                    draw(
                        '<td class="right" style="--v:{v}" title="{said}"></td>',
                        v=round(float(weight) / most, 3),
                        said=f"{piece} looks at {theirs}: {weight:.0%}",
                    )
                    for weight, theirs in zip(row_S, pieces, strict=True)
                ]
            ),
        )
        for row_S, piece in zip(weight_TS, ours, strict=True)
    ]
    return draw(
        '<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        head=join(head), rows=join(rows),
    )  # fmt: skip


def _pieces(facts: Facts, ids: Sequence[int]) -> list[str]:
    assert facts.predictor is not None
    decode = facts.predictor.by_role.target.tokenizer.decode
    return ["(end)" if i == END else decode([i]) or "\N{OPEN BOX}" for i in ids]
