"""How far off answers are that are numbers, whether their intervals hold, and where the errors lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars

from engram.evaluate.predictions import of_numbers
from engram.report import chart, words
from engram.report.facts import Facts
from engram.report.page import Figure, Heading, Row, Section, Table, Text

SHOWN = 10


def section(facts: Facts) -> Section | None:
    """Answers beside the truth, errors by size, the worst answers; nothing for a task without numbers."""
    frame = facts.answers
    if frame is None or not of_numbers(frame) or not len(frame):
        return None
    found = Section("numbers", "How far off it is")
    found.blocks += [Text(_typical(frame), "lead"), Text(_intervals(facts))]
    found.blocks.append(Row([_against_truth(frame), _by_size(frame)]))
    found.blocks += _worst(frame)
    return found


def _off(frame: polars.DataFrame) -> np.ndarray:
    return (frame["predicted"] - frame["label"]).to_numpy()


def _typical(frame: polars.DataFrame) -> str:
    half, most = np.quantile(np.abs(_off(frame)), [0.5, 0.9])
    lean = float(np.mean(_off(frame)))
    return (
        f"Half of the answers are off by at most {words.amount(half)}, nine in ten by at most {words.amount(most)}. "
        f"On average they are {words.amount(abs(lean))} too {'high' if lean > 0 else 'low'}."
    )


def _intervals(facts: Facts) -> str:
    metrics = facts.result.get("metrics") or {}
    coverage, width = metrics.get("coverage"), metrics.get("interval_width")
    if coverage is None or width is None:
        return "Its answers have no intervals."
    return (
        "Beside each answer stands an interval that is to hold the truth in 80 % of cases. It does so in "
        f"{words.percent(coverage['value'])} (95 % interval {words.interval('coverage', coverage)}), and is "
        f"{words.amount(width['value'])} wide on average. engram predict --level 0.95 asks for wider ones."
    )


def _held(frame: polars.DataFrame) -> list[bool]:
    """Whether each truth lies within its interval."""
    return ((frame["low"] <= frame["label"]) & (frame["label"] <= frame["high"])).to_list()


def _against_truth(frame: polars.DataFrame) -> Figure:
    truth, answer = frame["label"].to_list(), frame["predicted"].to_list()
    drawn = chart.scatter(
        truth, answer, _held(frame), x_name="truth", y_name="answer", usually="within its interval", diagonal=True
    )
    return Figure(drawn, "Each dot is one answer. On the dashed line it is right; orange dots lie outside of their "
                  "interval.")  # fmt: skip


def _by_size(frame: polars.DataFrame) -> Figure:
    answer, off = frame["predicted"].to_list(), _off(frame).tolist()
    drawn = chart.scatter(answer, off, _held(frame), x_name="answer", y_name="error", usually="within its interval")
    return Figure(drawn, "The error over the answer. Where dots fan out, answers are less sure; where they lean to one "
                  "side, answers of that size are too high or too low.")  # fmt: skip


def _worst(frame: polars.DataFrame) -> Iterator[Any]:
    order = np.argsort(-np.abs(_off(frame)), kind="stable")[:SHOWN]
    rows = [
        (e["where"], *(words.amount(e[name]) for name in ("label", "predicted", "low", "high")))
        for e in frame[order].iter_rows(named=True)
    ]
    yield Heading("The worst mistakes")
    yield Table(("where", "truth", "answer", "low", "high"), rows, "The answers that are furthest off.", (1, 2, 3, 4))
