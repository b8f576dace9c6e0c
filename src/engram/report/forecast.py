"""A page that draws forecasts: what `engram predict RUN --draw FILE` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engram.core import durable
from engram.core.answers import Forecasts
from engram.core.errors import ConfigError
from engram.predict.predictor import Predictor
from engram.report import page
from engram.report.page import Figure, Row, Section
from engram.report.sections.forecasts import drawing

MOST_DRAWN = 50
"""Series and columns on one page."""

PAST = 3
"""Of the past, so many times the horizon is drawn."""


def write(predictor: Predictor, items: Sequence[Any], answers: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Draw answers behind the ends of what they continue. ConfigError for what is no forecast, or no HTML file."""
    if not isinstance(predictor.task.answers, Forecasts):
        raise ConfigError(f"expected a run that forecasts, to be drawn; {predictor.run} is of {predictor.task.name}.")
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"expected an .html file to draw to; got {path}")
    feature = predictor.by_role.series
    figures = [
        figure
        for item, answer in zip(items, answers, strict=True)
        if "forecast" in answer
        for figure in _figures(feature, item, answer)
    ]
    section = Section("forecasts", "The forecast" if len(figures) == 1 else "The forecasts")
    shown = figures[:MOST_DRAWN]
    section.blocks += [Row(shown[start : start + 2]) for start in range(0, len(shown), 2)]
    html = page.render(
        title=predictor.run.path.resolve().name,
        subtitle=f"The next {feature.horizon} steps ({feature.clock.name}), and what is to hold 80 % of what comes.",
        sections=[section],
        footer="This file is complete in itself and asks nothing of the network.",
        what="forecasts",
    )
    with durable.telling(Path(path), needed=len(html)):
        Path(path).write_text(html, encoding="utf-8")
    return Path(path)


def _figures(feature: Any, item: Any, answer: Mapping[str, Any]) -> list[Figure]:
    """One drawing for each column of a series."""
    values = np.asarray(getattr(item, "values", item), np.float64).reshape(len(item), -1)
    known = np.flatnonzero(np.isfinite(values[:, : len(feature.targets)]).any(1))
    past = values[: known[-1] + 1][-PAST * feature.horizon :]
    figures = []
    for number, column in enumerate(feature.targets):
        steps = [step for step in answer["forecast"] if step.get("column", column) == column]
        of_steps = [[step[name] for step in steps] for name in ("value", "low", "high")]
        name = " ".join(filter(None, [answer.get("series"), column]))
        drawn = drawing(past[:, number], *of_steps, name=name, step=feature.clock.name)
        figures.append(Figure(drawn, f"{name}, from {steps[0]['time']} to {steps[-1]['time']}."))
    return figures
